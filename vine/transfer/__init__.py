"""How objects get from node to node."""
