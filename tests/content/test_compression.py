"""Compressed files give their bytes, or say that they are damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from vine.content.compression import FRAME_NOTE, FRAME_NOTE_LENGTH, FRAME_NOTE_MAGIC, blocks_of, damage_told, frames_of
from vine.content.prefix import open_whole
from vine.errors import FileMissing, UnsafeArchive

CONTENT = random.Random(1).randbytes(700_000) + bytes(5_000_000)


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def noted(data: bytes, frame_bytes: int = 1_000_000) -> bytes:
    out = b""
    for at in range(0, len(data), frame_bytes):
        piece = data[at : at + frame_bytes]
        frame = zst(piece)
        out += FRAME_NOTE.pack(FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH, len(frame), len(piece)) + frame
    return out


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "gz in two members, padded": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]) + bytes(512),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zst,
    "zst in two frames": lambda data: zst(data[:1000]) + zst(data[1000:]),
    "zst behind a skippable frame": lambda data: struct.pack("<IIB", 0x184D2A50, 1, 7) + zst(data),
    "noted": noted,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_every_compression_gives_the_bytes_in_bounded_blocks(file: Path, kind: str) -> None:
    file.write_bytes(COMPRESSORS[kind](CONTENT))
    blocks = list(blocks_of(file))
    assert b"".join(blocks) == CONTENT
    assert max(map(len, blocks)) <= 1 << 20


def test_other_programs_read_our_frames(file: Path) -> None:
    file.write_bytes(noted(CONTENT))
    with file.open("rb") as opened, zstandard.ZstdDecompressor().stream_reader(opened, read_across_frames=True) as all_:
        assert all_.read(len(CONTENT) + 1) == CONTENT


def frames(file: Path) -> bytes:
    with open_whole(file) as opened, damage_told(file):
        return b"".join(frame.content() for frame in frames_of(opened))


def test_our_frames_give_the_bytes_one_by_one(file: Path) -> None:
    file.write_bytes(noted(CONTENT))
    assert frames(file) == CONTENT


def test_frames_that_are_cut_short_or_spoilt_are_damage(file: Path) -> None:
    whole = noted(CONTENT)
    for damaged in (whole[:-20], whole[:10], whole[:200] + bytes(60) + whole[260:]):
        file.write_bytes(damaged)
        with pytest.raises(UnsafeArchive, match=r"file is damaged.*again"):
            frames(file)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_file_cut_short_is_damaged(file: Path, kind: str) -> None:
    file.write_bytes(COMPRESSORS[kind](CONTENT)[:-20])
    with pytest.raises(UnsafeArchive, match=r"file is damaged.*again"):
        list(blocks_of(file))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "noted"])
def test_spoilt_bytes_are_damage(file: Path, kind: str) -> None:
    data = bytearray(COMPRESSORS[kind](CONTENT))
    for at in range(200, 260):
        data[at] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(UnsafeArchive, match="damaged"):
        list(blocks_of(file))


@pytest.mark.parametrize(
    "note",
    [
        (FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH, 1 << 30, 1_000_000),
        (FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH, 100, 1 << 30),
        (FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH + 1, 100, 100),
    ],
)
def test_a_note_that_promises_too_much_is_damage(file: Path, note: tuple[int, ...]) -> None:
    file.write_bytes(noted(bytes(10)) + FRAME_NOTE.pack(*note) + bytes(200))
    with pytest.raises(UnsafeArchive, match="damaged"):
        frames(file)


def test_a_frame_larger_than_its_note_is_damage(file: Path) -> None:
    frame = zst(bytes(5_000_000))
    file.write_bytes(FRAME_NOTE.pack(FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH, len(frame), 10) + frame)
    with pytest.raises(UnsafeArchive, match="damaged"):
        frames(file)


def test_a_reader_that_stops_early_leaves_no_thread_behind(file: Path) -> None:
    file.write_bytes(noted(CONTENT))
    blocks = blocks_of(file)
    next(blocks)
    blocks.close()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="nothing cannot be read"):
        list(blocks_of(tmp_path / "nothing"))
