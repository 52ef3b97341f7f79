"""How are members written as a tar archive of independent zstd frames, on all cores and always the same?"""

from __future__ import annotations

import contextlib
import os
import tarfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import zstandard

from vine import config
from vine.content.compression import FRAME_NOTE, FRAME_NOTE_LENGTH, FRAME_NOTE_MAGIC, Frame
from vine.content.folders import STORED_TIME_NS
from vine.content.manifest import canonical_mode
from vine.content.partial import disk_full_or
from vine.content.tar_stream import BLOCK
from vine.errors import FileChanged, FileMissing

Progress = Callable[[int, int], None]  # Members packed, and how many there are.
Read = Callable[[bytes], bytes | None]  # What is written in place of a file's bytes; None leaves the file out.

_LEVEL = 3  # zstd's default: compresses about as fast as a disk writes.
_END_OF_ARCHIVE = bytes(2 * BLOCK)


@dataclass(frozen=True, slots=True)
class Item:
    """A member to be: its name, and where its bytes are read."""

    name: str
    source: Path
    size: int = 0
    program: bool = False
    folder: bool = False
    target: str | None = None
    read: Read | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What one frame holds of a member: all of it, or a span of a file that is larger than a frame."""

    item: Item
    offset: int
    length: int


def write_archive(items: list[Item], out: Path, progress: Progress | None = None) -> Path:
    """Write the members, in the order given; nothing appears at `out` before it is complete."""
    unfinished = _unfinished(out, str(os.getpid()))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Closed when the disk is full: its threads must never be left to the garbage collector to end.
        with unfinished.open("wb") as file, contextlib.closing(_frames(items)) as frames:
            packed = 0
            for frame in frames:
                sizes = len(frame.compressed), frame.content_bytes
                file.write(FRAME_NOTE.pack(FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH, *sizes))
                file.write(frame.compressed)
                packed += frame.members
                if progress is not None:
                    progress(packed, len(items))
        os.replace(unfinished, out)
    except OSError as error:
        if isinstance(error, FileMissing):
            raise
        raise disk_full_or(error, out, sum(item.size for item in items)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
    return out


def remove_unfinished(out: Path) -> None:
    """What those that were killed have left of it; for who knows that nobody else writes it."""
    for left in out.parent.glob(_unfinished(out, "*").name):
        left.unlink()


def _unfinished(out: Path, writer: str) -> Path:
    return out.with_name(f".{out.name}.{writer}")


@dataclass(frozen=True, slots=True)
class _Packed(Frame):
    members: int  # that end in it


def _frames(items: list[Item]) -> Generator[_Packed, None, None]:
    """The frames, compressed by as many threads as cores."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads, "vine-pack") as pool:
        coming: deque[Future[_Packed]] = deque()
        for parts in _grouped(items):
            coming.append(pool.submit(_frame, parts))
            if len(coming) > 2 * threads:
                yield coming.popleft().result()
        coming.append(pool.submit(_frame, []))
        while coming:
            yield coming.popleft().result()


def _grouped(items: Iterable[Item]) -> Iterator[list[_Part]]:
    """Members by the frame: frames end where members end, unless a member is larger than a frame."""
    group: list[_Part] = []
    filled = 0
    for item in items:
        if filled and filled + item.size > config.pack_frame_bytes:
            yield group
            group, filled = [], 0
        left = item.size
        while item.read is None and left > config.pack_frame_bytes:
            yield [_Part(item, item.size - left, config.pack_frame_bytes)]
            left -= config.pack_frame_bytes
        group.append(_Part(item, item.size - left, left))
        filled += left + BLOCK
    if group:
        yield group


def _frame(parts: list[_Part]) -> _Packed:
    pieces = [piece for part in parts for piece in _pieces(part)] if parts else [_END_OF_ARCHIVE]
    content = b"".join(pieces)
    ended = sum(part.offset + part.length == part.item.size for part in parts)
    compressed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)
    return _Packed(compressed, len(content), ended)


def _pieces(part: _Part) -> Iterator[bytes]:
    item = part.item
    if item.folder or item.target is not None:
        yield _header(item, 0)
        return
    data: bytes | None = _bytes_of(part)
    if item.read is not None and data is not None:
        data = item.read(data)
    if data is None:
        return
    size = item.size if item.read is None else len(data)
    if part.offset == 0:
        yield _header(item, size)
    yield data
    if part.offset + part.length == item.size:
        yield bytes(-size % BLOCK)


def _bytes_of(part: _Part) -> bytes:
    path = part.item.source
    try:
        with path.open("rb") as file:
            data = os.pread(file.fileno(), part.length + 1, part.offset)
    except OSError as error:
        raise FileMissing(f"{path} cannot be packed ({error.strerror}): check its permissions") from error
    last = part.offset + part.length == part.item.size
    if len(data) != part.length + (not last):
        raise FileChanged(f"{path} changed while it was packed: pack it when nothing changes it")
    return data[: part.length]


def _header(item: Item, size: int) -> bytes:
    info = tarfile.TarInfo(item.name)
    info.mode = canonical_mode(item.folder, item.target, item.program)
    info.mtime = STORED_TIME_NS // 10**9
    info.size = size
    if item.folder:
        info.type = tarfile.DIRTYPE
    elif item.target is not None:
        info.type, info.linkname = tarfile.SYMTYPE, item.target
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
