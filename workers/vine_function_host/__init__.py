"""The program of a warm interpreter: standard library alone, for the interpreter of the user's environment runs it."""
