"""What bytes are in a compressed file: a stream of blocks, decompressed ahead of their reader, frames on all cores."""

from __future__ import annotations

import bz2
import lzma
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import zstandard

from vine import config
from vine.content.prefix import PrefixFile, PrefixReader, open_whole
from vine.errors import FileMissing, UnsafeArchive

T = TypeVar("T")

# Our archives announce each zstd frame with a skippable frame that holds its sizes, so that frames can be
# found without being decompressed. Other readers of zstd skip it.
FRAME_NOTE = struct.Struct("<IIII")  # Magic, length of the rest, compressed bytes, content bytes.
FRAME_NOTE_MAGIC = 0x184D2A5E
FRAME_NOTE_LENGTH = 8  # Of what follows the first two.
_FRAME_NOTE_START = struct.pack("<II", FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH)

_BLOCK_BYTES = 1 << 20
_BLOCKS_AHEAD = 3
_INPUT_BYTES = 256 << 10
_SKIPPABLE_MAGIC = 0x184D2A50  # To ...5F: a frame that readers of zstd pass over; pzstd begins with one, and we do.
_DAMAGE = (zlib.error, EOFError, lzma.LZMAError, zstandard.ZstdError)


@dataclass(frozen=True, slots=True)
class Frame:
    """One of our archives' frames."""

    compressed: bytes
    content_bytes: int

    def content(self) -> bytes:
        return zstandard.ZstdDecompressor().decompress(self.compressed, max_output_size=self.content_bytes)


def opened(path: Path, arriving: PrefixFile | None = None) -> PrefixReader:
    """The file, or what has come of it while it arrives; FileMissing if it cannot be opened."""
    try:
        return open_whole(path) if arriving is None else PrefixReader(arriving)
    except OSError as error:
        raise FileMissing(f"{path} cannot be read ({error.strerror}): check its name and permissions") from error


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """What the libraries say of a damaged file, said of this one."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, _DAMAGE) and error.errno is not None:
            raise  # Of the file system, which is no damage.
        raise UnsafeArchive(f"{path} is damaged ({error}): make or copy it again") from error


def threads_beside() -> int:
    """How many threads have a core when one makes the files, which Python lets only one do at a time."""
    return min(max(1, len(os.sched_getaffinity(0)) - 1), config.unpack_threads_max)


def frames_of(file: PrefixReader) -> Iterator[Frame]:
    """Each frame of an archive of ours."""
    while note := file.read(FRAME_NOTE.size):
        compressed, content = _sizes(note)
        frame = file.read(compressed)
        if len(frame) < compressed or zstandard.frame_content_size(frame) != content:
            raise EOFError("it is cut short, or a frame is not of its noted size")
        yield Frame(frame, content)


def blocks_of(path: Path) -> Generator[bytes, None, None]:
    """The decompressed bytes of a plain, gz, bz2, xz or zst file; to be closed by whoever stops before the end.

    Raises FileMissing if it cannot be opened, UnsafeArchive if it is damaged.
    """
    with opened(path) as file, damage_told(path):
        yield from blocks_in(file)


def blocks_in(file: PrefixReader) -> Generator[bytes, None, None]:
    """The same of a file that is open, within `damage_told`; of one that arrives, as far as it has come."""
    start = file.read(FRAME_NOTE.size)
    file.seek(0)
    if start.startswith(_FRAME_NOTE_START):
        return _contents(file)
    for magic, reader in _READERS.items():
        if start.startswith(magic):
            return _ahead(reader(file), file, _BLOCKS_AHEAD)
    if int.from_bytes(start[:4], "little") & ~0xF == _SKIPPABLE_MAGIC:
        return _ahead(_unzstd(file), file, _BLOCKS_AHEAD)
    return _ahead(_pieces(file), file, _BLOCKS_AHEAD)


def _contents(file: PrefixReader) -> Generator[bytes, None, None]:
    """What our frames hold, as many at once decompressed as there are cores."""
    threads = threads_beside()
    with ThreadPoolExecutor(threads, "vine-decompress") as pool:
        begun = (pool.submit(frame.content) for frame in frames_of(file))
        with closing(_ahead(begun, file, threads + _BLOCKS_AHEAD - 1)) as contents:
            for content in contents:
                yield content.result()


def _ahead(blocks: Iterator[T], file: PrefixReader, ahead: int) -> Generator[T, None, None]:
    """The same blocks, so many made by another thread while one is used."""
    with ThreadPoolExecutor(1, "vine-read") as pool:
        try:
            coming = deque(pool.submit(next, blocks, None) for _ in range(ahead))
            while (block := coming.popleft().result()) is not None:
                coming.append(pool.submit(next, blocks, None))
                yield block
        finally:
            file.stop()  # The thread may wait for bytes that nobody will use.


def _sizes(note: bytes) -> tuple[int, int]:
    """Of a frame, and of its content."""
    if len(note) < FRAME_NOTE.size:
        raise EOFError("it is cut short")
    magic, length, compressed, content = FRAME_NOTE.unpack(note)
    known = (magic, length) == (FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH)
    if not known or max(compressed, content) > config.pack_frame_bytes_max:
        raise EOFError("a frame without its sizes")
    return compressed, content


def _pieces(file: PrefixReader) -> Iterator[bytes]:
    while block := file.read1(_BLOCK_BYTES):  # As much as is here: of what arrives nothing is held back.
        yield block


def _gunzip(file: PrefixReader) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    data = b""
    while data := data or file.read1(_INPUT_BYTES):
        if member.eof:
            if not data.strip(b"\0"):  # Padding, as on tapes.
                data = b""
                continue
            member = zlib.decompressobj(wbits=31)
        if block := member.decompress(data, _BLOCK_BYTES):
            yield block
        data = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise EOFError("it is cut short")


def _bunzip(file: PrefixReader) -> Iterator[bytes]:
    with bz2.open(file) as opened:
        while block := opened.read(_BLOCK_BYTES):
            yield block


def _unxz(file: PrefixReader) -> Iterator[bytes]:
    with lzma.open(file) as opened:
        while block := opened.read(_BLOCK_BYTES):
            yield block


def _unzstd(file: PrefixReader) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False) as opened:
        while block := opened.read(_BLOCK_BYTES):
            yield block


_READERS: dict[bytes, Callable[[PrefixReader], Iterator[bytes]]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": _bunzip,
    b"\xfd7zXZ\0": _unxz,
    b"\x28\xb5\x2f\xfd": _unzstd,
}
