"""Parsl's own work, apps that do nothing, on vine's executor and on two of Parsl's."""
