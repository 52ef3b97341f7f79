"""Files, folders and links are made, large files by several threads, and what they have become is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.content.objects import open_below
from vine.content.admission import Link
from vine.content.folders import Contents, bytes_in, signatures_within
from vine.content.making import Maker
from vine.content.tar_stream import Kind, Member
from vine.errors import UnsafeArchive


def member(mode: int = 0o644, mtime_s: float = 1_000_000_000.0, size: int = 0) -> Member:
    return Member("", Kind.FILE, mode, size, mtime_s, "")


def test_a_file_has_its_bytes_its_time_and_no_way_to_be_written_to(tmp_path: Path) -> None:
    maker = Maker(str(tmp_path))
    maker.file("a/b/tool", member(0o755), iter([memoryview(b"one "), memoryview(b"two")]))
    maker.link(Link("a/link", "b/tool", hard=False))
    maker.link(Link("c/hard", "a/b/tool", hard=True))
    status = (tmp_path / "a" / "b" / "tool").stat()
    assert (tmp_path / "a" / "link").read_bytes() == b"one two"
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_nlink) == (0o555, 1_000_000_000, 2)


def test_what_is_there_is_neither_written_to_nor_followed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"mine")
    (tmp_path / "l").symlink_to("f")
    maker = Maker(str(tmp_path))
    for name in ("f", "l", "f/x"):
        with pytest.raises(FileExistsError):
            maker.file(name, member(), iter([memoryview(b"yours")]))
    assert (tmp_path / "f").read_bytes() == b"mine"


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_of_all_that_was_made_the_versions_are_told(tmp_path: Path, umask: int) -> None:
    # given files of one name and of two, links and folders, made by a process that would keep them to itself
    before = os.umask(umask)
    try:
        maker = Maker(str(tmp_path))
        for name in ("a/one", "a/two", "changed", "gone"):
            maker.file(name, member(), iter([memoryview(b"bytes")]))
        maker.folder("empty/below")
        maker.link(Link("b/more", "a/two", hard=True))
        maker.link(Link("link", "a/one", hard=False))
    finally:
        os.umask(before)
    # when others have changed and removed some of them
    (tmp_path / "changed").chmod(0o644)
    (tmp_path / "changed").write_bytes(b"more than before")
    (tmp_path / "gone").unlink()
    contents = maker.finish(["changed", "gone"])
    # then what is told is what is there, and is read-only for everyone
    assert contents == Contents(bytes_in(tmp_path), signatures_within(tmp_path))
    assert set(contents.versions) == {
        *("a", "a/one", "a/two", "b", "b/more", "changed", "empty", "empty/below", "link"),
    }
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.name != "changed"}
    assert modes == {0o444, 0o555}


def test_large_files_are_written_beside_and_there_when_it_is_settled(tmp_path: Path) -> None:
    # given files of many pieces, and small ones among them
    contents = {f"{number}": bytes([number]) * (3_000_000 * (number % 2) + 10) for number in range(8)}
    maker = Maker(str(tmp_path), threads=3)
    # when they are made, then each has its own bytes, time and mode, and no descriptor stays
    for name, content in contents.items():
        pieces = (memoryview(content)[at : at + 700_000] for at in range(0, len(content), 700_000))
        maker.file(name, member(size=len(content)), pieces)
    maker.settle()
    assert not open_below(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents
    assert maker.finish(()) == Contents(bytes_in(tmp_path), signatures_within(tmp_path))
    assert {(path.stat().st_mtime, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {(10**9, 0o444)}
    maker.close()


def test_a_large_file_that_ends_too_early_leaves_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    def pieces() -> Iterator[memoryview]:
        yield memoryview(bytes(1_000_000))
        raise UnsafeArchive("cut short")

    maker = Maker(str(tmp_path), threads=3)
    with pytest.raises(UnsafeArchive):
        maker.file("f", member(size=5_000_000), pieces())
    maker.close()
    assert not open_below(tmp_path)
    assert set(threading.enumerate()) <= before


def test_times_that_no_file_has_are_left_out(tmp_path: Path) -> None:
    Maker(str(tmp_path)).file("f", member(mtime_s=float(1 << 40)), iter(()))
    assert (tmp_path / "f").stat().st_mtime < 1 << 33
