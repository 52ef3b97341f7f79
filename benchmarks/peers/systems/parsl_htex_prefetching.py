"""How do calls run on Parsl that is told that they are many and short: so many of them wait at the workers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.peers.systems import parsl_htex

_PREFETCH = 100  # Its documentation wants more than none for short tasks, and names no number.


def started(function: Callable[[int], int], folder: str) -> AbstractContextManager[parsl_htex.OnParsl]:
    return parsl_htex.started(function, folder, _PREFETCH)
