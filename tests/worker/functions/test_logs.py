"""Do logs that are held open stay short, is their newest part kept, and all that was printed counted?"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from vine import config
from vine_worker.functions.logs import HostLogs, before, last_line

MOST = 1000  # bytes, of a log and what was before it


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a log lies, that may have so much."""
    monkeypatch.setattr(config, "host_log_bytes_max", MOST)
    return tmp_path / "w1.host-1.log"


@pytest.fixture
def printing(path: Path) -> Iterator[BinaryIO]:
    """As a host has it."""
    with path.open("ab", buffering=0) as file:
        yield file


def lines(count: int, first: int = 0) -> bytes:
    """Of 20 bytes each."""
    return b"".join(b"this is line %6d\n" % number for number in range(first, first + count))


def test_a_log_that_is_too_long_is_emptied_in_place_and_its_newest_lines_are_beside_it(
    path: Path, printing: BinaryIO
) -> None:
    # given a host that has printed more than a log may have, and goes on after it was trimmed
    printing.write(lines(100))
    HostLogs().trim([path])
    printing.write(lines(1, first=100))
    # then the newest lines, none of them cut, are in the one beside it, and the log says so and goes on
    assert before(path).read_bytes() == lines(25, first=75)
    note, *rest = path.read_bytes().splitlines(keepends=True)
    assert rest == [lines(1, first=100)] and b"w1.host-1.log.1" in note
    assert sorted(os.listdir(path.parent)) == [path.name, before(path).name]


def test_it_stays_so_however_much_is_printed_and_all_of_that_is_counted(path: Path, printing: BinaryIO) -> None:
    logs = HostLogs()
    for number in range(50):
        printing.write(lines(20, first=20 * number))
        logs.trim([path])
        assert sum(each.stat().st_size for each in path.parent.iterdir()) <= MOST
        assert logs.printed_bytes(path) == 400 * (number + 1)
    assert before(path).read_bytes().endswith(lines(1, first=999)) or path.read_bytes().endswith(lines(1, first=999))


def test_what_is_short_is_left_alone_and_what_is_not_there_is_fine(
    path: Path, printing: BinaryIO, caplog: pytest.LogCaptureFixture
) -> None:
    logs = HostLogs()
    printing.write(lines(20))
    logs.trim([path, path.with_name("never there")])
    assert path.read_bytes() == lines(20) and not before(path).exists()
    assert logs.printed_bytes(path.with_name("never there")) == 0
    assert not caplog.records


def test_what_was_printed_last_is_told_though_the_log_was_emptied_after_it(path: Path, printing: BinaryIO) -> None:
    # given a host that has printed too much, and why it ends
    printing.write(lines(100) + b"MemoryError\n")
    HostLogs().trim([path])
    assert last_line(path) == "MemoryError"
    # and what is printed later comes first
    printing.write(b"it has ended\n")
    assert last_line(path) == "it has ended"


def test_nothing_is_told_of_a_log_whose_end_could_not_be_kept(
    path: Path, printing: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(path).write_bytes(b"what was said long ago\n")
    printing.write(lines(100))
    monkeypatch.setattr(os, "replace", full)
    HostLogs().trim([path])
    assert last_line(path) == ""


def full(source: Path, destination: Path) -> None:
    raise OSError(errno.ENOSPC, "no space left")


def test_where_the_disk_is_full_it_is_emptied_all_the_same_and_says_what_became_of_the_rest(
    path: Path, printing: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    printing.write(lines(100))
    monkeypatch.setattr(os, "replace", full)
    HostLogs().trim([path])
    assert b"could not be kept: no space left" in path.read_bytes() and path.stat().st_size < MOST
    assert os.listdir(path.parent) == [path.name]


def test_the_log_of_a_host_that_has_ended_is_looked_at_once_more(path: Path, printing: BinaryIO) -> None:
    logs = HostLogs()
    logs.trim([path])
    printing.write(lines(100))
    logs.trim([])
    assert path.stat().st_size < MOST
    printing.write(lines(100))
    logs.trim([])
    assert path.stat().st_size > MOST
