"""The manager process around the core."""
