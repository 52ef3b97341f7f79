"""Large files are written by several threads, and whoever waits for them hears what went wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vine.content.large_files import LargeFiles, write_all


def test_files_end_in_their_order_each_with_all_of_its_pieces(tmp_path: Path) -> None:
    # given more pieces than may wait at once
    large, ended = LargeFiles(2), []

    def file(number: int) -> None:
        descriptor = os.open(tmp_path / str(number), os.O_WRONLY | os.O_CREAT)

        def end() -> None:
            os.close(descriptor)
            ended.append((number, (tmp_path / str(number)).stat().st_size))

        large.write(descriptor, (memoryview(bytes([piece]) * 1000) for piece in range(30)), end)

    for number in range(5):
        file(number)
    large.settle()
    assert ended == [(number, 30_000) for number in range(5)]
    expected = b"".join(bytes([piece]) * 1000 for piece in range(30))
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {expected}
    large.close()


def test_what_cannot_be_written_is_an_error_of_the_file_system(tmp_path: Path) -> None:
    # given a descriptor that takes no bytes
    large = LargeFiles(2)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    large.write(descriptor, iter([memoryview(b"x")]), lambda: None)
    with pytest.raises(OSError, match="Bad file"):
        large.settle()
    large.close()


def test_bytes_go_where_they_belong(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    write_all(descriptor, memoryview(b"cd"), 2)
    write_all(descriptor, memoryview(b"ab"), 0)
    os.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"abcd"
