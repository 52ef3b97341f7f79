"""How is an archive of frames unpacked on all cores, as far as it has come?"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vine.content.admission import Admission, name_of
from vine.content.compression import Frame, frames_of
from vine.content.making import Maker, write_all
from vine.content.prefix import PrefixReader
from vine.content.tar_stream import NO_ARCHIVE, Kind, Member, TarPart
from vine.errors import UnsafeArchive

_AHEAD = 2  # Frames a thread that wait for it: it never runs dry, and little lies in memory.


@dataclass(slots=True)
class _Large:
    """A file that frames after the one that it began in go on with."""

    name: str
    member: Member
    descriptor: int
    written_bytes: int  # or on their way
    left_bytes: int  # with what fills its last block


@dataclass(frozen=True, slots=True)
class _Made:
    """What a frame held."""

    members: list[tuple[str, Member]]
    large: _Large | None  # that it ends in
    ended: bool


@dataclass(frozen=True, slots=True)
class _Coming:
    frame: Frame
    made: Future[_Made]
    ends: _Large | None  # whose last bytes it has


def unpack_frames(file: PrefixReader, maker: Maker, admission: Admission, claim: Callable[[int], None]) -> None:
    """Make all files and folders; `claim` is told how many bytes each frame unpacks to before that is done.

    Frames are made in any order, but admitted in theirs: what is refused then has been written, inside.
    """
    unpacker = _FrameUnpacker(maker, admission)
    try:
        for frame in frames_of(file):
            if frame is None:
                unpacker.settle()  # While we wait anyway: what is refused is told now.
                continue
            claim(frame.content_bytes)
            unpacker.start(frame)
        unpacker.end()
    finally:
        unpacker.close()


class _FrameUnpacker:
    def __init__(self, maker: Maker, admission: Admission) -> None:
        self._maker = maker
        self._admission = admission
        self._threads = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, "vine-unpack")
        self._coming: deque[_Coming] = deque()
        self._large: _Large | None = None  # that the next frame may go on with
        self._open: set[int] = set()
        self._carried_bytes = 0  # into the next frame to be settled
        self._ended = False

    def start(self, frame: Frame) -> None:
        large, ends = None, None
        if frame.carried_bytes:
            if self._large is None or not self._large.left_bytes:
                self.settle()  # Until then nobody knows which file this goes on with.
            large = self._large
            if large is None or not large.left_bytes:
                raise _unfitting()
        while len(self._coming) > _AHEAD * self._threads:
            self._settle_one()
        at = 0
        if large is not None:
            at = large.written_bytes
            here = min(frame.carried_bytes, frame.content_bytes)
            large.written_bytes = min(large.member.size, at + here)
            large.left_bytes = max(0, large.left_bytes - here)
            ends = None if large.left_bytes else large
        self._coming.append(_Coming(frame, self._pool.submit(self._make, frame, large, at), ends))

    def settle(self) -> None:
        """Wait for what has been started, and admit it."""
        while self._coming:
            self._settle_one()

    def end(self) -> None:
        self.settle()
        if not self._ended or self._carried_bytes:
            raise UnsafeArchive(f"it is {NO_ARCHIVE}, or is cut short: copy or make it again")

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for coming in self._coming:  # Made, and not looked at any more.
            if not coming.made.cancelled() and coming.made.exception() is None:
                self._note_open(coming.made.result().large)
        for descriptor in self._open:
            os.close(descriptor)

    def _settle_one(self) -> None:
        coming = self._coming[0]
        made = coming.made.result()
        self._coming.popleft()
        self._note_open(made.large)
        frame = coming.frame
        if frame.carried_bytes != self._carried_bytes or (self._ended and frame.content_bytes):
            raise _unfitting()
        for name, member in made.members:
            self._admission.admit(name, member)
        self._ended |= made.ended
        if coming.ends is not None:
            self._open.remove(coming.ends.descriptor)
            self._maker.end_file(coming.ends.name, coming.ends.descriptor, coming.ends.member)
        self._carried_bytes = max(0, frame.carried_bytes - frame.content_bytes)
        if made.large is not None:
            self._large, self._carried_bytes = made.large, made.large.left_bytes

    def _note_open(self, large: _Large | None) -> None:
        if large is not None:
            self._open.add(large.descriptor)

    def _make(self, frame: Frame, large: _Large | None, at: int) -> _Made:
        """On a thread of the pool."""
        content = memoryview(frame.content())
        carried = content[: frame.carried_bytes]
        if large is not None:
            write_all(large.descriptor, carried[: max(0, large.member.size - at)], at)
        part = TarPart(content[len(carried) :])
        members = []
        begun = None
        for member in part.members():
            name = name_of(member)
            members.append((name, member))
            if member.kind is Kind.FOLDER:
                self._maker.folder(name)
            elif member.kind is Kind.FILE and not part.missing_bytes:
                self._maker.file(name, member, part.data())
            elif member.kind is Kind.FILE:
                begun = self._begin_large(name, member, part)
        return _Made(members, begun, part.ended)

    def _begin_large(self, name: str, member: Member, part: TarPart) -> _Large:
        left_bytes = part.missing_bytes
        piece = next(part.data(), memoryview(b""))
        descriptor = self._maker.begin_file(name, member)
        try:
            write_all(descriptor, piece, 0)
        except BaseException:
            os.close(descriptor)
            raise
        return _Large(name, member, descriptor, len(piece), left_bytes)


def _unfitting() -> UnsafeArchive:
    return UnsafeArchive("its frames do not fit each other: make it again")
