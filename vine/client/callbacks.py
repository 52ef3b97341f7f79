"""Where do the callbacks of futures run: on one thread of their own, in the order in which the futures ended."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from vine.client.late_condition import LateCondition
from vine.client.serial_thread import SerialThread

T = TypeVar("T")
Callback = Callable[["Future[Any]"], Any]

_log = logging.getLogger(__name__)


class Callbacks:
    """The thread that runs the user's callbacks, so that one that blocks holds up other callbacks only.

    Results come in, and futures are resolved, on other threads: a callback may submit, and wait for results.
    """

    def __init__(self) -> None:
        # Started by the first callback: few programs have any.
        self._thread: SerialThread[tuple[Callback, Future[Any]]] = SerialThread("vine-client-callbacks", _run)

    def put(self, callback: Callback, future: Future[Any]) -> None:
        if not self._thread.put((callback, future)):
            _run((callback, future))

    def flush(self) -> None:
        """Return when all callbacks have run that were put before; at once if a callback asks."""
        self._thread.flush()

    def close(self) -> None:
        """As `flush`; those that come later run on the thread that puts them."""
        self._thread.close()


class DeferringFuture(Future[T]):
    """A future that leaves its callbacks to `call_back`, and can be ended in a forked child."""

    def __init__(self) -> None:
        # All that the library's own `__init__` sets, but for its condition.
        self._condition = LateCondition()  # type: ignore[assignment]  # It has of a condition what futures use.
        self._state = concurrent.futures._base.PENDING
        self._result: Any = None
        self._exception: BaseException | None = None
        self._waiters = []
        self._done_callbacks: list[Callback] = []

    def call_back(self, callback: Callback, future: Future[Any]) -> None:
        raise AssertionError("who makes one says where its callbacks run")

    def add_done_callback(self, fn: Callback) -> None:
        """As in `concurrent.futures`; one that is added before the end runs on the thread for callbacks."""
        if not self.done():
            fn = functools.partial(self.call_back, fn)
        super().add_done_callback(fn)

    def disowned(self, error: BaseException) -> None:
        """This process is a fork of the one that waits, whose other threads may hold the lock.

        It ends here without a word to anybody: waiting threads and callbacks are the parent's.
        """
        self._condition = _forked
        self._done_callbacks = []
        self._state = concurrent.futures._base.FINISHED
        self._exception = error


_forked = threading.Condition()  # of all that end so: nothing changes in them any more


def _run(item: tuple[Callback, Future[Any]]) -> None:
    callback, future = item
    try:
        callback(future)
    except BaseException:  # noqa: BLE001 - logged; a callback that fails, or calls sys.exit, harms no other
        _log.exception("calling callback for %r", future)
