"""How are large files written beside the thread that reads their archive?"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

_AHEAD = 4  # Pieces a thread that wait to be written: each keeps a block of the archive in memory.


class LargeFiles:
    """Those whose bytes are on their way to the disk, by several threads at once: a write holds no lock of Python's.

    Used by one thread. An error of writing is raised by whichever call finds it.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "vine-write")
        self._pieces_max = _AHEAD * threads
        self._pieces: deque[Future[None]] = deque()
        self._files: deque[tuple[int, list[Future[None]], Callable[[], None]]] = deque()

    def write(self, descriptor: int, pieces: Iterable[memoryview], end: Callable[[], None]) -> None:
        """Write the file; when all of it is there, `end` is called, and closes it."""
        written: list[Future[None]] = []
        self._files.append((descriptor, written, end))
        at = 0
        for piece in pieces:
            while len(self._pieces) >= self._pieces_max:
                self._pieces.popleft().result()
            written.append(self._pool.submit(write_all, descriptor, piece, at))
            self._pieces.append(written[-1])
            at += len(piece)
        while len(self._files) > 1 and all(future.done() for future in self._files[0][1]):
            self._end_first()

    def settle(self) -> None:
        """Wait for all of them."""
        while self._files:
            self._end_first()

    def _end_first(self) -> None:
        _descriptor, written, end = self._files[0]
        for future in written:
            future.result()
        self._files.popleft()
        end()

    def close(self) -> None:
        """What is not complete stays so."""
        self._pool.shutdown(cancel_futures=True)
        while self._files:
            os.close(self._files.popleft()[0])


def write_all(descriptor: int, piece: memoryview, offset: int) -> None:
    while piece:
        written = os.pwrite(descriptor, piece, offset)
        piece, offset = piece[written:], offset + written
