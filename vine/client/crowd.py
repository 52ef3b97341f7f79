"""Who submits faster than the run drains waits a moment: how much is open, and when is there room?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vine import config
from vine.names import TaskId


class Crowd:
    """The open tasks with long arguments, and the threads that wait because there are too many open ones.

    Waiting is bounded, so that nothing can be locked up by it: what is open may need the thread that waits.
    """

    def __init__(self) -> None:
        self.bytes = 0  # of arguments that are long enough to be counted
        self.watched = False  # Somebody waits, or bytes are counted: tasks that leave are told here.
        self.waiting = 0  # threads
        self._sizes: dict[TaskId, int] = {}
        self._changed = threading.Condition()

    def enter(self, task_id: TaskId, size: int) -> None:
        with self._changed:
            self._sizes[task_id] = size
            self.bytes += size
            self.watched = True

    def leave(self, task_id: TaskId) -> None:
        with self._changed:
            self.bytes -= self._sizes.pop(task_id, 0)
            self.watched = bool(self._sizes) or self.waiting > 0
            if self.waiting:
                self._changed.notify()

    def wait(self, crowded: Callable[[], bool]) -> None:
        """Return when it is not crowded, and soon in any case."""
        end_s = time.monotonic() + config.crowded_pause_s
        with self._changed:
            self.waiting += 1
            self.watched = True
            try:
                while crowded() and (left_s := end_s - time.monotonic()) > 0:
                    self._changed.wait(left_s)
            finally:
                self.waiting -= 1
