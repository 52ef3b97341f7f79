"""The user's face: managers, executors, files and tasks."""
