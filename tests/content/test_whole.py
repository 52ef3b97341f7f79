from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from vine.content.whole import write_whole


@contextlib.contextmanager
def files_of_at_most(most: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"long before")
    write_whole(path, b"now")
    assert path.read_bytes() == b"now" and os.listdir(tmp_path) == ["file"]


def test_what_cannot_be_written_leaves_what_was_there_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with files_of_at_most(2), pytest.raises(OSError, match="too large"):
        write_whole(path, b"too long")
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_nor_does_what_has_no_place(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", b"value")
    assert os.listdir(tmp_path) == ["folder"]
