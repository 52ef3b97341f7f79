"""How does a file come in whose content, and often size, is not known before all of it is here?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vine.content.folders import remove
from vine.content.hashing import Buffer
from vine.content.partial import disk_full_or


class Growing:
    """A file that is written from its beginning on, by one thread; its room is reserved before it is written.

    Made by `Store.begin_growing`, and ended by `Store.keep_grown` or by `discard`.
    """

    def __init__(self, path: Path, reserve: Callable[[int], None], give_back: Callable[[], None]) -> None:
        """`reserve` so many bytes more, or raise DiskFull; `give_back` all of them."""
        self.path = path
        self.size = 0  # that has been written
        self.room = 0  # that is reserved for it
        self._reserve = reserve
        self._give_back = give_back
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def make_room(self, size: int) -> None:
        """Reserve room for so many bytes in all; DiskFull if they do not fit."""
        if size <= self.room:
            return
        self._reserve(size - self.room)
        self.room = size
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
        if self.room:
            self._give_back()
        self.room = 0

    def discard(self) -> None:
        """It will not be kept, or has been: nothing of it is left here."""
        self._close()
        remove(self.path)
        self.give_room_back()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
