"""A world whose scheduler's records and snapshots go into a true journal, as the live loop's do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.scheduler.world import World
from vine.errors import ExitCode
from vine.manager.journal import Journal, file_name
from vine.names import RunId
from vine.scheduler import actions
from vine.views.status import main

START_S = 1_700_000_000.0  # the wall clock when the world begins


class JournaledWorld(World):
    """Write with `save`; views read `run_dir`."""

    def __init__(self, run_dir: Path, workers: int = 0) -> None:
        run_dir.mkdir(exist_ok=True)
        self.run_dir = run_dir
        self._records: list[tuple[float, actions.Journal]] = []
        super().__init__(workers=workers)

    def step(self, todo: list[actions.Action]) -> None:
        self._records += [(START_S + self.now, action) for action in todo if isinstance(action, actions.Journal)]
        super().step(todo)

    def save(self, reason: str = "it was enough") -> Path:
        """Everything up to now, with a row of statistics, in the journal of a manager that has ended."""
        journal = Journal(self.run_dir / file_name, RunId("run-7"))
        for at_s, action in self._records:
            journal.record(action.records, at_s)
        self._records.clear()
        journal.statistics(self.core.snapshot(self.now), START_S + self.now)
        journal.close(reason)
        with closing(sqlite3.connect(self.run_dir / file_name)) as connection, connection:
            dates = [(START_S, "started_s"), (START_S + self.now, "ended_s")]  # by the world's clock
            connection.executemany("UPDATE facts SET value = ? WHERE name = ?", dates)
        return self.run_dir


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What `vine-status` prints when all is well."""
    assert main(argv) == ExitCode.OK
    said = capsys.readouterr()
    assert said.err == ""
    return said.out
