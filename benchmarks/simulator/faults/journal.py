"""What outlives the managers of a run: their journal, written by group commits, and the files of the staging folder."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path

from vine.manager.batch import Batch
from vine.manager.journal import begin_epoch
from vine.manager.lives import Given, attempts_open
from vine.manager.replay import read_run
from vine.names import AttemptId, RunId
from vine.scheduler.records import Record
from vine.scheduler.replayed import ReplayedRun

_NOWHERE = Path("in-memory")
_STATISTICS_S = 1.0
_MADE = "SELECT count(*) FROM sqlite_master"


class MemoryJournal:
    """The true records, tables and replay, on a database in memory."""

    def __init__(self, on_written: Callable[[Record], object] = lambda record: None) -> None:
        """`on_written` is told of each record when it is safe."""
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._on_written = on_written
        self._waiting: deque[tuple[float, tuple[Record, ...]]] = deque()  # steps
        self._calls: deque[tuple[int, Callable[[], None]]] = deque()  # when so many steps are written
        self._attempts_open: dict[AttemptId, Given] = {}
        self._recorded = 0
        self._statistics_at = 0.0
        self.records = 0

    @property
    def is_new(self) -> bool:
        (tables,) = self._connection.execute(_MADE).fetchone()
        return int(tables) == 0

    def begin(self, at_s: float) -> int:
        """Another manager writes from now on; returns its epoch."""
        self._waiting.clear()
        self._calls.clear()
        self._recorded = 0
        epoch = begin_epoch(self._connection, _NOWHERE, RunId("simulated"), at_s)
        self._attempts_open = attempts_open(self._connection)
        return epoch

    def record(self, records: tuple[Record, ...], at_s: float) -> None:
        """All records of a step."""
        self._waiting.append((at_s, records))
        self._recorded += 1
        self.records += len(records)

    def when_written(self, call: Callable[[], None]) -> None:
        """Call this when all that was recorded until now is written."""
        self._calls.append((self._recorded, call))

    def commit(self, steps: int | None = None, at_s: float = 0.0) -> None:
        """One transaction with all that waits, or with so many steps of it; then those are called who wait for it."""
        batch = Batch(self._attempts_open)
        taken = [self._waiting.popleft() for _ in range(len(self._waiting) if steps is None else steps)]
        for recorded_s, records in taken:
            batch.add(records, recorded_s)
        if at_s >= self._statistics_at:
            self._statistics_at = at_s + _STATISTICS_S
            batch.add_statistics({}, at_s)
        self._write(batch, self._connection)
        for _, records in taken:
            for record in records:
                self._on_written(record)
        written = self._recorded - len(self._waiting)
        while self._calls and self._calls[0][0] <= written:
            self._calls.popleft()[1]()

    def _write(self, batch: Batch, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")
        batch.write(connection)
        connection.execute("COMMIT")

    @property
    def waiting(self) -> int:
        """How many steps are not written."""
        return len(self._waiting)

    @property
    def open_attempts(self) -> int:
        """Those that have not ended, as the writer remembers them."""
        return len(self._attempts_open)

    def replay(self) -> ReplayedRun:
        """What a manager finds that begins now."""
        return read_run(self._connection)

    def would_be(self) -> ReplayedRun:
        """What it would find if all that waits were written."""
        copy, batch = sqlite3.connect(":memory:", isolation_level=None), Batch(dict(self._attempts_open))
        self._connection.backup(copy)
        for at_s, records in self._waiting:
            batch.add(records, at_s)
        self._write(batch, copy)
        run = read_run(copy)
        copy.close()
        return run


class Staging:
    """Which files lie in the run's staging folder."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._grown: dict[str, int] = {}  # bytes of watched outputs

    def put(self, path: str) -> None:
        self.paths.add(path)

    def copy(self, path: str, second: str) -> None:
        """Also from and to paths of users, of whose files nothing is known."""
        assert path in self.paths or not self._is_staged(path), f"{path} is copied, and is not there"
        if self._is_staged(second):
            self.paths.add(second)

    def write_part(self, path: str, offset: int, size: int) -> None:
        """A watched output grows at its path: whoever follows it reads no gap."""
        grown = self._grown.get(path, 0)
        assert offset <= grown, f"{path} has {grown} bytes, and is written from {offset} on"
        self._grown[path] = offset + size

    def remove(self, path: str) -> None:
        self.paths.discard(path)

    def take(self, path: str) -> None:
        """A client reads what lies there, and removes it."""
        assert path in self.paths, f"a client was told to read {path}, where nothing is"
        self.paths.discard(path)

    def _is_staged(self, path: str) -> bool:
        return path.startswith("/run/staging/")
