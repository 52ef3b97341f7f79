from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from tests.manager.journals import RUN, WORKER, call, life_of_a_call, written
from vine import config
from vine.errors import UsageError
from vine.manager import schema
from vine.manager.batch import Batch
from vine.manager.journal import Journal, file_name
from vine.manager.replay import open_to_read, replay
from vine.names import TaskId
from vine.scheduler.records import (
    TaskReady,
    WorkerJoined,
)
from vine.wire.parts import Outcome, Resources


def test_what_was_recorded_before_close_is_there_afterwards(tmp_path: Path) -> None:
    path = written(tmp_path, life_of_a_call(1, 1))
    task = replay(path).tasks[TaskId(1)]
    assert task.spec == call(1)
    assert task.result is not None
    assert (task.state, task.result.outcome, task.result.value, task.attempts) == ("done", Outcome.SUCCESS, b"P2", ())


def test_each_manager_of_a_run_has_an_epoch_of_its_own(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        journal = Journal(tmp_path / file_name, RUN)
        epochs.append(journal.epoch)
        journal.close("done")
    assert epochs == [1, 2, 3]
    assert replay(tmp_path / file_name).epoch == 3


def test_only_the_latest_statistics_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "statistics_rows_kept", 3)
    for number in range(5):
        journal = Journal(tmp_path / file_name, RUN)
        journal.statistics({"n": number}, float(number))
        journal.close("done")
    with sqlite3.connect(tmp_path / file_name) as connection:
        assert [at for (at,) in connection.execute("SELECT at_s FROM statistics")] == [2.0, 3.0, 4.0]


def test_the_journal_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    first = Journal(tmp_path / file_name, RUN)
    assert replay(tmp_path / file_name).tasks == {}
    first.close("done")


def test_the_journal_is_private(tmp_path: Path) -> None:
    assert stat.S_IMODE(written(tmp_path, []).stat().st_mode) == 0o600


def test_a_journal_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, [])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    for opening in (lambda: Journal(path, RUN), lambda: replay(path)):
        with pytest.raises(UsageError, match=rf"version 99, not {schema.version}: use the vine that wrote it$"):
            opening()


def test_a_file_that_is_no_journal_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / file_name).write_bytes(b"not a database, and long enough to be seen as none" * 10)
    for opening in (lambda: Journal(tmp_path / file_name, RUN), lambda: replay(tmp_path / file_name)):
        with pytest.raises(UsageError, match="file is not a database"):
            opening()


def test_a_write_that_fails_is_tried_again_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "journal_retry_s", 0.01)
    path = tmp_path / file_name
    failures: list[Batch] = []
    write = Batch.write

    def fails_twice(batch: Batch, connection: sqlite3.Connection) -> None:
        write(batch, connection)
        if len(failures) < 2:
            failures.append(batch)
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Batch, "write", fails_twice)
    journal = Journal(path, RUN)
    journal.record((WorkerJoined(WORKER, "node7", Resources(cores=4), ""),), 1.0)
    for record in life_of_a_call(1, 1):
        journal.record((record,), 1.0)
    while len(failures) < 2:
        journal._thread.join(0.01)
    journal.close("done")
    run = replay(path)
    assert run.tasks[TaskId(1)].result is not None
    assert run.workers == (WORKER,)


def test_what_fails_as_the_journal_is_told_to_close_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Batch] = []
    write = Batch.write

    def fails_while_it_closes(batch: Batch, connection: sqlite3.Connection) -> None:
        if not failures:
            failures.append(batch)
            journal._closing.set()  # As `close` does, on another thread.
            raise sqlite3.OperationalError("database or disk is full")
        write(batch, connection)

    monkeypatch.setattr(Batch, "write", fails_while_it_closes)
    journal = Journal(tmp_path / file_name, RUN)
    journal.record((WorkerJoined(WORKER, "node7", Resources(cores=4), ""),), 1.0)
    while not failures:
        journal._thread.join(0.01)
    journal.close("done")
    assert replay(tmp_path / file_name).workers == (WORKER,)


def test_a_journal_that_cannot_be_written_is_given_up_loudly_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(batch: Batch, connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Batch, "write", fails)
    journal = Journal(tmp_path / file_name, RUN)
    journal.record((TaskReady(TaskId(1)),), 0.0)
    journal.close("done")
    journal.record((TaskReady(TaskId(2)),), 0.0)
    assert "database or disk is full" in caplog.text
    assert "this run cannot be resumed" in caplog.text
    assert not (tmp_path / file_name).stat().st_mode & stat.S_IWUSR, "it is not marked as one that is not whole"


def test_a_record_that_cannot_be_written_ends_the_journal_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / file_name, RUN)
    journal.record((TaskReady(TaskId(1 << 70)),), 1.0)
    journal._thread.join()
    journal.record((TaskReady(TaskId(1)),), 2.0)
    journal.close("the end")
    assert journal.records_waiting == 0
    assert "the journal is given up" in caplog.text


def test_the_tables_appear_together_with_the_facts_that_views_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_clock() -> float:
        raise RuntimeError("killed here")

    monkeypatch.setattr("vine.manager.journal.time.time", no_clock)
    with pytest.raises(RuntimeError):
        Journal(tmp_path / file_name, RUN)
    with pytest.raises(UsageError, match="ask again"):
        open_to_read(tmp_path / file_name)


def test_what_waits_for_the_journal_is_called_when_all_before_it_is_written(tmp_path: Path) -> None:
    path, seen = tmp_path / file_name, list[int]()
    journal = Journal(path, RUN)
    for number in (1, 2):
        journal.record(life_of_a_call(number, number), float(number))
        journal.when_written(lambda: seen.append(len(replay(path).tasks)))
    journal.close(None)
    assert seen[0] >= 1 and seen[1] == 2


def test_what_waits_for_the_batch_with_which_a_journal_is_given_up_is_called_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def fails(batch: Batch, connection: sqlite3.Connection) -> None:
        tried.set()
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Batch, "write", fails)
    journal = Journal(tmp_path / file_name, RUN)
    called: list[str] = []
    journal.record((TaskReady(TaskId(1)),), 0.0)
    journal.when_written(lambda: called.append("taken"))
    assert tried.wait(20)
    journal.when_written(lambda: called.append("not yet taken"))
    journal.close("the end")
    assert called == ["taken", "not yet taken"]


def test_what_waits_for_a_journal_that_was_given_up_is_called_all_the_same(tmp_path: Path) -> None:
    journal = Journal(tmp_path / file_name, RUN)
    journal.record((TaskReady(TaskId(1 << 70)),), 1.0)
    journal._thread.join()
    called: list[str] = []
    journal.when_written(lambda: called.append("at once"))
    journal.close("the end")
    assert called == ["at once"]
