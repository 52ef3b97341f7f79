"""How does a file come in whose content, and often size, is not known before all of it is here?"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from vine.content.budget import Budget
from vine.content.folders import remove
from vine.content.hashing import Buffer
from vine.content.partial import disk_full_or


class Growing:
    """A file that is written from its beginning on, by one thread; its room is reserved before it is written.

    Made by `Store.begin_growing`, and ended by `Store.keep_grown` or by `discard`.
    """

    def __init__(self, path: Path, budget: Budget, lock: AbstractContextManager[object]) -> None:
        self.path = path
        self.size = 0  # that has been written
        self._budget = budget
        self._lock = lock  # that guards the budget
        self._room = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def make_room(self, size: int) -> None:
        """Reserve room for so many bytes in all; DiskFull if they do not fit."""
        if size <= self._room:
            return
        with self._lock:
            self._budget.reserve(size - self._room)
        self._room = size
        try:
            os.posix_fallocate(self._descriptor, 0, size)
        except OSError as error:
            raise disk_full_or(error, self.path, size) from error

    def write(self, data: Buffer) -> None:
        """Put these bytes behind what is there; DiskFull if they do not fit."""
        view = memoryview(data).cast("B")
        self.make_room(self.size + len(view))
        try:
            while view:
                written = os.pwrite(self._descriptor, view, self.size)
                view, self.size = view[written:], self.size + written
        except OSError as error:
            raise disk_full_or(error, self.path, self.size + len(view)) from error

    def restart(self) -> None:
        """What has come does not count: the next bytes are the first ones."""
        self.size = 0

    def finish(self) -> None:
        """All has been written: the file is as long as that."""
        os.ftruncate(self._descriptor, self.size)
        self._close()

    def give_room_back(self) -> None:
        """It is not counted here any more."""
        room, self._room = self._room, 0
        with self._lock:
            self._budget.give_back(room)

    def discard(self) -> None:
        """It will not be kept, or has been: nothing of it is left here."""
        self._close()
        remove(self.path)
        self.give_room_back()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
