"""Warm function hosts."""
