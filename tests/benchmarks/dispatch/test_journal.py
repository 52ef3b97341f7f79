"""The runs with and without a journal do the same, but that one of them writes it."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest

from benchmarks.dispatch.bench import inc
from benchmarks.dispatch.journal import journal, unjournaled


@pytest.mark.live
def test_the_run_without_a_journal_has_noted_no_task_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with unjournaled() as at:
        assert at.executor.submit(inc, 1).result(60) == 2
        with sqlite3.connect(at.manager.run_directory / "journal.sqlite") as connection:
            assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (0,)
    assert not list(tmp_path.glob("vine-dispatch-*"))


@pytest.mark.live
def test_each_rate_and_the_share_are_told() -> None:
    figures = journal(rounds=1, count=50)
    assert [figure.name for figure in figures] == ["journaled_per_s", "unjournaled_per_s", "journal_share"]
    assert figures[2].value == pytest.approx(figures[0].value / figures[1].value)
