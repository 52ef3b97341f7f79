"""Files, folders and links are made by several threads at once, and nothing is made twice or behind a file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vine.content.admission import Link
from vine.content.making import Maker, write_all
from vine.content.tar_stream import Kind, Member
from vine.errors import UnsafeArchive


def member(mode: int = 0o644, mtime_s: float = 1_000_000_000.0) -> Member:
    return Member("", Kind.FILE, mode, 0, mtime_s, "")


def test_a_file_has_its_bytes_its_time_and_no_way_to_be_written_to(tmp_path: Path) -> None:
    maker = Maker(str(tmp_path))
    maker.file("a/b/tool", member(0o755), iter([memoryview(b"one "), memoryview(b"two")]))
    maker.link(Link("a/link", "b/tool", hard=False))
    maker.link(Link("c/hard", "a/b/tool", hard=True))
    status = (tmp_path / "a" / "b" / "tool").stat()
    assert (tmp_path / "a" / "link").read_bytes() == b"one two"
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_nlink) == (0o555, 1_000_000_000, 2)


def test_folders_are_made_by_whoever_needs_them_first(tmp_path: Path) -> None:
    maker = Maker(str(tmp_path))
    names = [f"{number % 3}/{number % 7}/{number % 11}/{number}" for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: maker.file(name, member(), iter(())), names))
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 400


@pytest.mark.parametrize("name", ["f", "f/x", "f/x/y"])
def test_what_is_there_twice_or_behind_a_file_is_refused(tmp_path: Path, name: str) -> None:
    # given a file that another thread has made, of which this one knows nothing
    Maker(str(tmp_path)).file("f", member(), iter([memoryview(b"mine")]))
    with pytest.raises(UnsafeArchive):
        Maker(str(tmp_path)).file(name, member(), iter([memoryview(b"yours")]))
    assert (tmp_path / "f").read_bytes() == b"mine"


def test_times_that_no_file_has_are_left_out(tmp_path: Path) -> None:
    Maker(str(tmp_path)).file("f", member(mtime_s=float(1 << 40)), iter(()))
    assert (tmp_path / "f").stat().st_mtime < 1 << 33


def test_bytes_go_where_they_belong(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    write_all(descriptor, memoryview(b"cd"), 2)
    write_all(descriptor, memoryview(b"ab"), 0)
    os.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"abcd"
