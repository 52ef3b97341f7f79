"""How long until the last of many workers has a large file: real processes, network namespaces, or simulated."""
