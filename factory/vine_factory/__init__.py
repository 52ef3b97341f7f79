"""The factory process."""
