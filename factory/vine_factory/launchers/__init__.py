"""How workers are started: one launcher a batch system."""
