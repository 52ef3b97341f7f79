"""The sweep on hosts that are network namespaces of this machine, with a shared filesystem between them."""
