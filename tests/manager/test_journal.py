from __future__ import annotations

import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vine import config
from vine.errors import UsageError
from vine.manager.batch import Batch
from vine.manager.journal import Journal, file_name
from vine.manager.replay import replay
from vine.manager.schema import Upsert
from vine.names import AttemptId, FileId, ObjectId, RunId, TaskId, WorkerId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    FileDeclared,
    FileFailed,
    ObjectBound,
    Record,
    TaskAccepted,
    TaskEnded,
    TaskReady,
    TaskWaits,
    WorkerJoined,
    WorkerLeft,
)
from vine.wire.messages import CacheLevel, FileKind, FileSpec, Manifest, Outcome, Resources, TaskKind, TaskSpec, Times

RUN = RunId("run")
WORKER = WorkerId("w1")
OBJECT = ObjectId("ab" * 32)
MANIFEST = Manifest(1, 3, 1 << 18, b"h" * 32)


def call(task_id: int, **fields: object) -> TaskSpec:
    return TaskSpec(TaskId(task_id), TaskKind.CALL, payload=b"Pargs", label="inc", **fields)  # type: ignore[arg-type]


def temp(file_id: int) -> FileSpec:
    return FileSpec(FileId(file_id), FileKind.TEMP, CacheLevel.WORKFLOW, "temp")


def life_of_a_call(task_id: int, counter: int) -> list[Record]:
    attempt = AttemptId(1, counter)
    return [
        TaskAccepted(call(task_id)),
        TaskReady(TaskId(task_id)),
        AttemptAssigned(attempt, TaskId(task_id), WORKER),
        AttemptStarted(attempt),
        AttemptEnded(attempt, Outcome.SUCCESS, times=Times(run_s=0.5)),
        TaskEnded(TaskId(task_id), Outcome.SUCCESS, value=b"P2", worker_id=WORKER, task_s=0.6, queue_s=0.1),
    ]


def written(path: Path, records: Sequence[Record]) -> Path:
    journal = Journal(path / file_name, RUN)
    for at_s, record in enumerate(records):
        journal.record(record, float(at_s))
    journal.close("done")
    return path / file_name


def states(path: Path) -> dict[int, str]:
    with sqlite3.connect(path) as connection:
        return dict(connection.execute("SELECT task_id, state FROM tasks"))


def test_what_was_recorded_before_close_is_there_afterwards(tmp_path: Path) -> None:
    path = written(tmp_path, life_of_a_call(1, 1))
    task = replay(path).tasks[TaskId(1)]
    assert task.spec == call(1)
    assert (task.state, task.outcome, task.value, task.attempts) == ("done", Outcome.SUCCESS, b"P2", ())


def test_a_task_shows_the_last_state_that_was_recorded(tmp_path: Path) -> None:
    life = life_of_a_call(1, 1)
    expected = ["waiting", "ready", "staged", "running", "collecting", "done"]
    for count, state in enumerate(expected, start=1):
        folder = tmp_path / str(count)
        folder.mkdir()
        assert states(written(folder, life[:count])) == {1: state}


def test_an_attempt_that_has_not_ended_is_named_with_its_worker(tmp_path: Path) -> None:
    path = written(tmp_path, life_of_a_call(1, 7)[:4])
    run = replay(path)
    assert run.tasks[TaskId(1)].attempts == ((AttemptId(1, 7), WORKER),)
    assert run.attempts_max == 7


def test_a_producer_that_ran_again_stays_done(tmp_path: Path) -> None:
    again = AttemptId(1, 2)
    rerun: list[Record] = [
        TaskReady(TaskId(1)),
        AttemptAssigned(again, TaskId(1), WORKER),
        AttemptEnded(again, Outcome.SUCCESS),
    ]
    together, apart = tmp_path / "together", tmp_path / "apart"
    together.mkdir()
    apart.mkdir()
    assert states(written(together, life_of_a_call(1, 1) + rerun)) == {1: "done"}
    written(apart, life_of_a_call(1, 1))
    path = written(apart, rerun)
    assert states(path) == {1: "done"}
    assert replay(path).tasks[TaskId(1)].value == b"P2"


def test_files_keep_their_content_its_maker_and_their_failure(tmp_path: Path) -> None:
    maker = AttemptId(1, 3)
    path = written(
        tmp_path,
        [
            FileDeclared(temp(1)),
            FileDeclared(temp(2)),
            FileDeclared(temp(3)),
            ObjectBound(FileId(1), OBJECT, MANIFEST, maker),
            ObjectBound(FileId(2), OBJECT, MANIFEST),
            FileFailed(FileId(3), "no such file"),
        ],
    )
    run = replay(path)
    found = {file_id: (file.object_id, file.attempt, file.failure) for file_id, file in run.files.items()}
    assert found == {1: (OBJECT, maker, None), 2: (OBJECT, None, None), 3: (None, None, "no such file")}
    assert run.manifests == {OBJECT: MANIFEST}


def test_workers_that_left_are_known_no_more_but_their_rows_stay(tmp_path: Path) -> None:
    joined = WorkerJoined(WORKER, "node7", Resources(cores=4), "/logs/w1")
    other = WorkerJoined(WorkerId("w2"), "node8", Resources(cores=4), "/logs/w2")
    path = written(tmp_path, [joined, other, WorkerLeft(WORKER, "idle"), joined, WorkerLeft(WorkerId("w2"), "lost")])
    assert replay(path).workers == (WORKER,)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT worker_id, reason FROM workers ORDER BY joining").fetchall()
    assert rows == [("w1", "idle"), ("w2", "lost"), ("w1", None)]


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
        with pytest.raises(UsageError, match=r"version 99, not 1: use the vine that wrote it$"):
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
    journal.record(WorkerJoined(WORKER, "node7", Resources(cores=4), ""), 1.0)
    for record in life_of_a_call(1, 1):
        journal.record(record, 1.0)
    while len(failures) < 2:
        journal._thread.join(0.01)
    journal.close("done")
    run = replay(path)
    assert run.tasks[TaskId(1)].outcome is Outcome.SUCCESS
    assert run.workers == (WORKER,)


def test_a_journal_that_cannot_be_written_is_given_up_loudly_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(batch: Batch, connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Batch, "write", fails)
    journal = Journal(tmp_path / file_name, RUN)
    journal.record(TaskReady(TaskId(1)), 0.0)
    journal.close("done")
    journal.record(TaskReady(TaskId(2)), 0.0)
    assert "database or disk is full" in caplog.text
    assert "this run cannot be resumed" in caplog.text


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 9))), max_size=200))
def test_an_upsert_keeps_the_last_value_of_each_column(rows: list[tuple[int, int | None]]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER)")
    upsert = Upsert("t", ["k", "v"], ["k"])
    expected: dict[int, int | None] = {}
    for start in range(0, len(rows), 37):
        upsert.write(connection, rows[start : start + 37])
    for key, value in rows:
        expected[key] = value if value is not None else expected.get(key)
    assert dict(connection.execute("SELECT k, v FROM t")) == expected


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    records: list[Record] = []
    for task_id in range(1, draw(st.integers(1, 6)) + 1):
        records += life_of_a_call(task_id, task_id)[: draw(st.integers(1, 6))]
        if draw(st.booleans()):
            records.insert(len(records) - 1, TaskWaits(TaskId(1)))
    return records


@settings(deadline=None, max_examples=50)
@given(histories(), st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_where_the_group_commits_fall_makes_no_difference(history: list[Record], sizes: list[int]) -> None:
    def dump(groups: list[list[Record]]) -> list[str]:
        from vine.manager import schema

        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.executescript(schema.script)
        task_of: dict[AttemptId, TaskId] = {}
        for group in groups:
            batch = Batch(task_of)
            for record in group:
                batch.add(record, 1.0)
            batch.write(connection)
        return sorted(line for line in connection.iterdump())

    groups, rest, turn = [], list(history), 0
    while rest:
        size = sizes[turn % len(sizes)]
        groups.append(rest[:size])
        rest, turn = rest[size:], turn + 1
    assert dump(groups) == dump([history])
