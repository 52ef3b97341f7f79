"""How does a test wait for what another thread or process does, where nothing tells of it?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

GIVE_UP_S = 60.0  # A guard against hangs, never a measure.

T = TypeVar("T")


def until(condition: Callable[[], T | None], what: str, timeout_s: float = GIVE_UP_S) -> T:
    """The first true value of the condition. It polls: files, processes and other threads' tables tell nobody."""
    give_up_at = time.monotonic() + timeout_s
    while not (found := condition()):
        time.sleep(0.01)
        assert time.monotonic() < give_up_at, f"still not so after {timeout_s:g} s: {what}"
    return found
