"""What is the work: one tiny function, in a module that every worker imports."""

from __future__ import annotations


def inc(x: int) -> int:
    return x + 1
