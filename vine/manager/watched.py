"""How do parts of outputs come to their paths while their tasks run, though a file system there may hang?

A thread writes them, in the order in which they came. Whoever has something else to do with a path, as bringing the
whole output to it, *settles* it first: what is not being written of it is dropped, and what is, waited for. So nothing
of a part ever comes into the whole.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vine import config

_log = logging.getLogger(__name__)


class Part(NamedTuple):
    """Some bytes of a file, from `offset` on; at 0 the file begins anew."""

    path: str
    offset: int
    data: bytes


class WatchedOutputs:
    """Called by the loop alone; `post` lets it make a call that the thread has come to want."""

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._changed = threading.Condition()
        self._waiting: deque[Part] = deque()
        self._waiting_bytes = 0
        self._torn: set[str] = set()  # Of these a part was dropped: what follows would leave a hole.
        self._written: str | None = None  # what the thread is at
        # What is to be called when that is over. Until it has been, nothing more happens to the path.
        self._then: dict[str, list[Callable[[], None]]] = {}
        self._over = False
        self._thread: threading.Thread | None = None

    def write(self, path: str, offset: int, data: bytes) -> None:
        """Let these bytes lie in the file soon; where that lags too far behind, its rest comes with the whole of it."""
        with self._changed:
            if not offset:
                self._drop(path)
                self._torn.discard(path)
            if path in self._torn:
                return
            if self._waiting_bytes + len(data) > config.watched_waiting_bytes_max:
                _log.warning("%s is written too slowly to be watched: its rest comes when its task has ended", path)
                self._torn.add(path)
                return
            self._waiting.append(Part(path, offset, data))
            self._waiting_bytes += len(data)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="watched", daemon=True)
            self._thread.start()

    def settle(self, path: str, then: Callable[[], None]) -> None:
        """Call `then` when no part is written to the path any more: at once, but for the one that is being written.

        What is called of one path is called in the order in which that was asked for.
        """
        with self._changed:
            self._drop(path)
            self._torn.discard(path)
            if self._written == path or path in self._then:
                self._then.setdefault(path, []).append(then)
                return
        then()

    def close(self) -> None:
        """Write what waits, if that takes no time; a file system that hangs is not waited for."""
        if self._thread is not None:
            with self._changed:
                self._over = True
                self._changed.notify()
            self._thread.join(config.watched_close_s)

    def _drop(self, path: str) -> None:
        if any(part.path == path for part in self._waiting):
            self._waiting = deque(part for part in self._waiting if part.path != path)
            self._waiting_bytes = sum(len(part.data) for part in self._waiting)

    def _work(self) -> None:
        while (part := self._next()) is not None:
            write_part(part)
            with self._changed:
                self._written, is_awaited = None, part.path in self._then
            if is_awaited:
                self._post(partial(self._settled, part.path))

    def _settled(self, path: str) -> None:
        for call in self._then[path]:  # Those, too, that are asked for by these.
            call()
        with self._changed:
            del self._then[path]
            self._changed.notify()

    def _next(self) -> Part | None:
        with self._changed:
            self._changed.wait_for(lambda: self._writable() or self._over)
            part = self._writable()
            if part is None:
                return None
            self._waiting.remove(part)
            self._waiting_bytes -= len(part.data)
            self._written = part.path
            return part

    def _writable(self) -> Part | None:
        return next((part for part in self._waiting if part.path not in self._then), None)


def write_part(part: Part) -> None:
    """What takes the file's name may be a FIFO, of which to open and to write would wait for its reader."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | (0 if part.offset else os.O_TRUNC)
    try:
        Path(part.path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part.path, flags, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            os.pwrite(descriptor, part.data, part.offset)
        finally:
            os.close(descriptor)
    except OSError as error:  # What is there is in the user's hands; the whole output comes at the task's end.
        _log.warning("%s cannot be written while its task runs: %s", part.path, error)
