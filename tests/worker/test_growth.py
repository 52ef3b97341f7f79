"""Is what was added to a task's own file read, and nothing that belongs to others?"""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vine import config
from vine.names import AttemptId, FileId
from vine_worker import actions as act
from vine_worker.growth import Growth
from vine_worker.sandbox import Sandbox

KEY, LOG = AttemptId(1, 1), FileId(7)


class Looking:
    """A sandbox whose file `log` is watched."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self._reports: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.growth = Growth(lambda attempt: Sandbox(folder), self._reports.put)

    def look(self, told_bytes: int) -> list[tuple[int, bytes]]:
        self.growth.look(act.LookAtOutputs((act.Watched(KEY, LOG, "log", told_bytes),)))
        report = self._reports.get(timeout=30)
        assert isinstance(report, act.Grown), report
        return [(offset, data) for _, _, offset, data in report.parts]


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[Looking]:
    made = Looking(tmp_path)
    yield made
    made.growth.close()


def test_what_is_new_is_read_from_where_the_old_ends(looking: Looking) -> None:
    assert looking.look(0) == []
    (looking.work / "log").write_bytes(b"old and new")
    assert looking.look(0) == [(0, b"old and new")]
    assert looking.look(4) == [(4, b"and new")]
    assert looking.look(11) == []


def test_one_that_was_begun_anew_is_all_new(looking: Looking) -> None:
    (looking.work / "log").write_bytes(b"short")
    assert looking.look(100) == [(0, b"short")]


def test_a_look_brings_so_much_at_most(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "watch_bytes_max", 4)
    (looking.work / "log").write_bytes(b"123456")
    assert looking.look(0) == [(0, b"1234")]
    assert looking.look(4) == [(4, b"56")]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_plain_files_are_read_and_no_look_waits(looking: Looking, tmp_path: Path, kind: str) -> None:
    secret, place = tmp_path / "secret", looking.work / "log"
    secret.write_text("somebody else's")
    make = {"link": lambda: place.symlink_to(secret), "folder": place.mkdir, "pipe": lambda: os.mkfifo(place)}
    make[kind]()
    assert looking.look(0) == []
