"""What bytes are in a compressed file: a stream of blocks, decompressed ahead of their reader."""

from __future__ import annotations

import bz2
import lzma
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import zstandard

from vine import config
from vine.content.prefix import PrefixFile, PrefixReader, open_whole
from vine.errors import FileMissing, UnsafeArchive

# Our archives announce each zstd frame with a skippable frame that holds its sizes, so that frames can be
# found without being decompressed. Other readers of zstd skip it.
FRAME_NOTE = struct.Struct("<IIII")  # Magic, length of the rest, compressed bytes, content bytes.
FRAME_NOTE_MAGIC = 0x184D2A5E
_NOTE_LENGTH = 8

_BLOCK_BYTES = 1 << 20
_INPUT_BYTES = 256 << 10
_DAMAGE = (zlib.error, EOFError, lzma.LZMAError, zstandard.ZstdError)


def blocks_of(path: Path, arriving: PrefixFile | None = None) -> Generator[bytes, None, None]:
    """The decompressed bytes of a plain, gz, bz2, xz or zst file; to be closed by whoever stops before the end.

    `arriving` is the same file, while what it is read from still comes. Raises FileMissing if it cannot be
    opened, UnsafeArchive if it is damaged.
    """
    try:
        file = open_whole(path) if arriving is None else PrefixReader(arriving)
    except OSError as error:
        raise FileMissing(f"{path} cannot be read ({error.strerror}): check its name and permissions") from error
    with file:
        try:
            yield from _reader_for(file)
        except (*_DAMAGE, OSError) as error:
            raise UnsafeArchive(f"{path} is damaged ({error}): make or copy it again") from error


def _reader_for(file: PrefixReader) -> Iterator[bytes]:
    start = file.read(FRAME_NOTE.size)
    file.seek(0)
    if len(start) == FRAME_NOTE.size and FRAME_NOTE.unpack(start)[:2] == (FRAME_NOTE_MAGIC, _NOTE_LENGTH):
        return _noted_frames(file)
    for magic, reader in _READERS.items():
        if start.startswith(magic):
            return _ahead(reader(file), file)
    return _ahead(_pieces(file), file)


def _ahead(blocks: Iterator[bytes], file: PrefixReader) -> Iterator[bytes]:
    """The same blocks, each made by another thread while the one before is used."""
    with ThreadPoolExecutor(1, "vine-decompress") as pool:
        try:
            coming = [pool.submit(next, blocks, None) for _ in range(3)]
            while (block := coming.pop(0).result()) is not None:
                coming.append(pool.submit(next, blocks, None))
                yield block
        finally:
            file.stop()  # The thread may wait for bytes that nobody will use.


def _noted_frames(file: PrefixReader) -> Iterator[bytes]:
    """The frames of one of our archives, decompressed on all cores."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads, "vine-decompress") as pool:
        coming: deque[Future[bytes]] = deque()
        for frame in _frames(file):
            if frame is not None:
                coming.append(pool.submit(_decompress, *frame))
            while coming and (frame is None or len(coming) > 2 * threads):
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _frames(file: PrefixReader) -> Iterator[tuple[bytes, int] | None]:
    """Each frame and the size of its content; None wherever the next one has yet to arrive."""
    while True:
        if not file.has(FRAME_NOTE.size):
            yield None
        note = file.read(FRAME_NOTE.size)
        if not note:
            return
        compressed, content = _sizes(note)
        if not file.has(compressed):
            yield None
        frame = file.read(compressed)
        if len(frame) < compressed or zstandard.frame_content_size(frame) != content:
            raise EOFError("it is cut short, or a frame is not of its noted size")
        yield frame, content


def _sizes(note: bytes) -> tuple[int, int]:
    """Of a frame and of its content."""
    if len(note) < FRAME_NOTE.size:
        raise EOFError("it is cut short")
    magic, length, compressed, content = FRAME_NOTE.unpack(note)
    if (magic, length) != (FRAME_NOTE_MAGIC, _NOTE_LENGTH) or max(compressed, content) > config.pack_frame_bytes_max:
        raise EOFError("a frame without its sizes")
    return compressed, content


def _decompress(frame: bytes, content: int) -> bytes:
    return zstandard.ZstdDecompressor().decompress(frame, max_output_size=content)


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
    b"\x50\x2a\x4d\x18": _unzstd,  # A skippable frame, as pzstd begins.
}
