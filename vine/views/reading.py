"""Which run is meant, and what does its journal say of it: the rows behind every view."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from vine.errors import JournalDamaged, UsageError
from vine.manager.journal import file_name
from vine.manager.replay import open_to_read
from vine.wire.codec import UNDECODABLE

latest_run = Path("vine-run-info") / "most-recent"

_UNREADABLE = (sqlite3.Error, *UNDECODABLE)
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_rows_for_rates = 6  # A few seconds: recent, and not torn by a single chunk.


@dataclass(frozen=True, slots=True)
class Run:
    """An open journal, for reading."""

    run_dir: Path
    connection: sqlite3.Connection

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, raised: BaseException | None, traceback: object) -> None:
        """JournalDamaged, if what stands in the journal could not be read."""
        self.connection.close()
        if isinstance(raised, _UNREADABLE):
            reason = (str(raised).splitlines() or [type(raised).__name__])[0]
            raise JournalDamaged(f"the journal in {self.run_dir} is damaged ({reason}): not all can be shown") from None

    def facts(self) -> dict[str, Any]:
        return dict(self.connection.execute("SELECT name, value FROM facts"))

    def snapshot(self) -> tuple[float, dict[str, Any]] | None:
        """When the manager last told how the run stands (wall clock), and what it told."""
        rows = self._latest(1)
        return rows[0] if rows else None

    def rates(self) -> dict[str, float]:
        """Bytes a second over the last few rows of statistics."""
        rows = self._latest(_rows_for_rates)
        names = ("bytes_from_manager", "bytes_from_peers")
        if len(rows) < 2 or rows[0][0] <= rows[-1][0]:
            return dict.fromkeys(names, 0.0)
        (now_s, now), (then_s, then) = rows[0], rows[-1]
        return {name: max(0, now.get(name, 0) - then.get(name, 0)) / (now_s - then_s) for name in names}

    def began_s(self) -> float:
        """When the run began (wall clock): its first manager's start, or what was written first."""
        first = self.connection.execute(
            "SELECT min(at_s) FROM (SELECT min(accepted_s) AS at_s FROM tasks UNION SELECT min(joined_s) FROM workers)"
        ).fetchone()[0]
        started_s: float = self.facts()["started_s"]
        return started_s if first is None else min(started_s, first)

    def latest_s(self) -> float:
        """The last moment that the journal tells of (wall clock): the run's end, or the manager's last word."""
        facts, heard = self.facts(), self.snapshot()
        if facts.get("ended_s") is not None:
            return float(facts["ended_s"])
        return float(facts["started_s"]) if heard is None else heard[0]

    def task_counts(self) -> Iterator[tuple[float, dict[str, int]]]:
        """How many tasks were in each state, a row a second of the last minutes."""
        for at_s, snapshot in self.connection.execute("SELECT at_s, snapshot FROM statistics ORDER BY row"):
            if tasks := _decode(snapshot).get("tasks"):
                yield at_s, tasks

    def _latest(self, count: int) -> list[tuple[float, dict[str, Any]]]:
        rows = self.connection.execute("SELECT at_s, snapshot FROM statistics ORDER BY row DESC LIMIT ?", (count,))
        return [(at_s, _decode(snapshot)) for at_s, snapshot in rows]


def open_run(path: Path) -> Run:
    """A run by its directory, or the latest of several by the folder that holds them."""
    for run_dir in (path, path / latest_run.name):
        if (run_dir / file_name).is_file():
            return Run(run_dir.resolve(), open_to_read(run_dir / file_name))
    raise UsageError(f"there is no run in {path}: name the directory of a run, or start one here")
