"""How do several threads write and read one arriving object, and who closes it when?"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vine.content.hashing import chunk_is_good
from vine.transfer.objects import Buffer, PartialObject
from vine.wire.parts import Manifest

ChunkCheck = Callable[[Manifest, int, Buffer], bool]  # whether these bytes are that chunk


class _State(enum.Enum):
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Landing:
    """A partial object whose users are counted, so that it is committed or discarded when none is left.

    A chunk written after the commit would change a file that is promised to stay as it is.
    """

    def __init__(self, partial: PartialObject, manifest: Manifest, is_good: ChunkCheck = chunk_is_good) -> None:
        self._partial = partial
        self._manifest = manifest
        self._is_good = is_good
        self._users = 0
        self._state = _State.OPEN
        self._changed = threading.Condition()

    @property
    def present(self) -> frozenset[int]:
        return frozenset(self._partial.present)

    def write(self, index: int, data: Buffer) -> bool:
        """Keep a chunk if its bytes are what the manifest says; tell whether they are."""
        with self._used() as is_open:
            if not is_open:
                return True  # Written by an earlier transfer of the object, too late to matter.
            if not self._is_good(self._manifest, index, data):
                return False
            self._partial.write(index, data)
            return True

    def read(self, index: int) -> Buffer | None:
        """A chunk that is here, or None if the object is not arriving any more."""
        with self._used() as is_open:
            return self._partial.read(index) if is_open else None

    def commit(self) -> None:
        self._close(self._partial.commit)

    def discard(self) -> None:
        self._close(self._partial.discard)

    @contextmanager
    def _used(self) -> Iterator[bool]:
        """Whether the object still arrives; while it is being closed nobody is told either way."""
        with self._changed:
            self._changed.wait_for(lambda: self._state is not _State.CLOSING)
            is_open = self._state is _State.OPEN
            self._users += is_open
        try:
            yield is_open
        finally:
            with self._changed:
                self._users -= is_open
                self._changed.notify_all()

    def _close(self, finish: Callable[[], None]) -> None:
        with self._changed:
            self._state = _State.CLOSING
            # Users hold threads of their own by now, so this ends.
            self._changed.wait_for(lambda: not self._users)
        try:
            finish()
        finally:
            with self._changed:
                self._state = _State.CLOSED
                self._changed.notify_all()
