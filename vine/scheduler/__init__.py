"""The manager's pure core."""
