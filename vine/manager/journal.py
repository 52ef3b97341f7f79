"""What happened in this run: the record that outlives the manager, written by a thread of its own.

The loop only appends to a list; the thread takes what has come in `journal_commit_s` and commits it
as one transaction. SQLite in WAL mode lets views read at any time without disturbing the run.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vine import config
from vine.errors import UsageError
from vine.manager import schema
from vine.manager.batch import Batch
from vine.manager.lives import attempts_open
from vine.manager.tally import Tally, commits_in
from vine.names import RunId
from vine.scheduler.records import Record

file_name = "journal.sqlite"

_log = logging.getLogger(__name__)


class Journal:
    """Writes a run's records and the views' statistics. All methods return at once, but `close`."""

    def __init__(self, path: Path, run_id: RunId) -> None:
        self._path = path
        self._connection = _open(path)
        self.epoch = begin_epoch(self._connection, path, run_id, time.time())
        self._tally = Tally(path)
        self._tally.go_on_from(commits_in(self._connection))
        self._calls: list[Callable[[], None]] = []
        self._taken: list[Callable[[], None]] = []  # those that wait for the batch which is being written
        self._steps: list[tuple[float, Sequence[Record]]] = []  # the records of each, in order
        self._snapshots: list[tuple[float, dict[str, Any]]] = []
        self._attempts_open = attempts_open(self._connection)
        self._end: tuple[tuple[str, object], ...] = ()
        self._given_up = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def record(self, records: Sequence[Record], at_s: float) -> None:
        """Write these down, in order; `at_s` is the wall clock. They must not change any more."""
        if not self._given_up:
            self._steps.append((at_s, records))
            if not self._wake.is_set():
                self._wake.set()

    @property
    def records_waiting(self) -> int:
        """How many records the thread has not taken yet."""
        return sum(len(records) for _, records in self._steps.copy())

    def when_written(self, call: Callable[[], None]) -> None:
        """Call this, on the journal's thread, when all that was recorded until now is written (or given up)."""
        if self._given_up:
            call()
        else:
            self._calls.append(call)
            self._wake.set()

    def statistics(self, snapshot: dict[str, Any], at_s: float) -> None:
        """Write a row for the views; it must not change any more."""
        if not self._given_up:
            self._snapshots.append((at_s, snapshot))
            self._wake.set()

    def close(self, reason: str | None) -> None:
        """Commit what has been recorded, and that the run has ended, and why; None: it may be taken up again."""
        self._end = () if reason is None else (("ended_s", time.time()), ("end_reason", reason))
        self._closing.set()
        self._wake.set()
        self._thread.join()

    # --- the writer's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._write_until_closed()
        except Exception:  # noqa: BLE001 - a mistake of ours, whichever: it is logged, and the run can do without it
            _log.exception("the journal's writer has failed")
            self._give_up()
        self._note_end()
        self._connection.close()
        self._tally.close()

    def _write_until_closed(self) -> None:
        unwritten: Batch | None = None
        while unwritten is not None or self._wake.is_set() or not self._closing.is_set():
            if unwritten is None:
                self._wake.wait()
                self._closing.wait(config.journal_commit_s)  # so that a commit holds what comes in this time
                self._wake.clear()
                unwritten = self._take()
            is_last = self._closing.is_set()  # Before the try: what fails while we are told to close is tried again.
            if self._commit(unwritten):
                unwritten = None
                self._make_calls(self._taken)
            elif is_last or self.records_waiting > config.journal_records_waiting_max:
                self._give_up()
                break
            else:
                self._closing.wait(config.journal_retry_s)

    def _take(self) -> Batch:
        # The loop appends meanwhile: what is beyond these belongs to the next batch. What is to be called is counted
        # first: the records that it waits for are there by then.
        calls = len(self._calls)
        count, snapshots = len(self._steps), len(self._snapshots)
        batch = Batch(self._attempts_open)
        for at_s, records in self._steps[:count]:
            batch.add(records, at_s)
        for at_s, snapshot in self._snapshots[:snapshots]:
            batch.add_statistics(snapshot, at_s)
        self._taken = self._calls[:calls]
        del self._steps[:count], self._snapshots[:snapshots], self._calls[:calls]
        return batch

    @staticmethod
    def _make_calls(calls: list[Callable[[], None]]) -> None:
        while calls:
            calls.pop(0)()

    def _commit(self, batch: Batch) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                batch.write(self._connection)
                self._connection.execute("INSERT OR REPLACE INTO facts VALUES ('commits', ?)", (self._tally.count + 1,))
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            _log.error("the journal cannot be written: %s; the run goes on, and it is tried again", error)
            return False
        self._tally.add()
        return True

    def _note_end(self) -> None:
        try:
            self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", self._end)
        except sqlite3.Error as error:
            _log.error("the journal cannot be written: %s; it ends without a word of the run's end", error)

    def _give_up(self) -> None:
        self._given_up = True
        self._steps.clear()
        self._snapshots.clear()
        self._path.chmod(0o400)  # The mark of a journal that is not whole: it can be made on a full disk, too.
        self._make_calls(self._taken)  # Those of the batch that could not be written wait, too.
        self._make_calls(self._calls)
        _log.error("the journal is given up: this run cannot be resumed, and views see its past only")


def _open(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except (OSError, sqlite3.Error) as error:
        raise UsageError(
            f"the journal {path} cannot be opened: {error}; choose a run directory on a local disk"
        ) from None
    return connection


def begin_epoch(connection: sqlite3.Connection, path: Path, run_id: RunId, at_s: float) -> int:
    """Make the tables, or take them over from the manager before; each manager of a run has an epoch of its own."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, schema.version):
        raise UsageError(f"the journal {path} has version {found}, not {schema.version}: use the vine that wrote it")
    # One transaction: views can make nothing of tables without facts.
    make = f"{schema.script} PRAGMA user_version = {schema.version};" if found == 0 else ""
    connection.executescript(f"BEGIN IMMEDIATE; {make}")
    epoch = int((connection.execute("SELECT value FROM facts WHERE name = 'epoch'").fetchone() or (0,))[0]) + 1
    facts = [("epoch", epoch), ("run_id", run_id), ("started_s", at_s)]
    connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)
    connection.execute("DELETE FROM facts WHERE name IN ('ended_s', 'end_reason')")
    connection.execute("COMMIT")
    return epoch
