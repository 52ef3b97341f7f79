"""What is a future's lock, of which few threads ever wait for a change: a condition that is made when one does?"""

from __future__ import annotations

import threading
from _thread import RLock


class LateCondition(RLock):  # type: ignore[misc]  # Final for mypy only: CPython's may be a base.
    """As `threading.Condition`, of which it is the lock itself.

    A condition is eight objects, which the garbage collector goes through as long as the future lives, and more than
    half of what a future takes to be made. This is one, and few futures of a program are ever waited for.
    """

    __slots__ = ("_condition", "_waiting")

    def __init__(self) -> None:
        self._condition: threading.Condition | None = None  # while somebody waits: it refers to its lock
        self._waiting = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it was notified in time; by who holds the lock, and holds it again when this returns."""
        if self._condition is None:
            self._condition = threading.Condition(self)
        self._waiting += 1
        try:
            return self._condition.wait(timeout)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._condition = None

    def notify_all(self) -> None:
        """Wake all who wait; by who holds the lock."""
        if self._condition is not None:
            self._condition.notify_all()
