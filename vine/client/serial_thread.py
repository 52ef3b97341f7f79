"""How is one thing done after another on a thread of its own, so that all that is accepted is done before the close?"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SerialThread(Generic[T]):
    """Started by the first thing that is put. `do` raises nothing."""

    def __init__(self, name: str, do: Callable[[T], None]) -> None:
        self._name = name
        self._do = do
        self._queue: queue.SimpleQueue[T | threading.Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Whoever has seen that it is open has put its own before the end is put. A signal's handler may put meanwhile.
        self._lock = threading.RLock()
        self._closed = False

    @property
    def is_current(self) -> bool:
        return threading.current_thread() is self._thread

    def put(self, item: T) -> bool:
        """Whether it will be done: not after the close."""
        with self._lock:
            if self._closed:
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
            self._queue.put(item)
        return True

    def flush(self) -> None:
        """Return when all is done that was put before; at once on the thread itself, and in a forked child."""
        thread = self._thread
        if thread is None or self.is_current or not thread.is_alive():
            return
        reached = threading.Event()
        with self._lock:
            closed = self._closed
            if not closed:
                self._queue.put(reached)
        if closed:
            thread.join()
        else:
            reached.wait()

    def close(self) -> None:
        """As `flush`, and accept nothing more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if self._thread is not None and not self.is_current:
            self._thread.join()

    def _serve(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._do(item)
