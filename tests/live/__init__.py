"""Real processes: what a user of the public API and the commands sees."""
