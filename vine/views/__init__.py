"""Looking at a run without disturbing it."""
