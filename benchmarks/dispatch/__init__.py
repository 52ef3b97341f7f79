"""How fast do tasks go out and results come back: calls a second, the latency of one, commands and forks a second?"""
