from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.manager.journals import WORKER, call, life_of_a_call, life_of_a_short_call, states, written
from vine.manager.replay import replay
from vine.names import AttemptId, TaskId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    Record,
    TaskAccepted,
    TaskEnded,
    TaskEndedAgain,
    TaskReady,
    TaskWaits,
)
from vine.wire.parts import Measured, Outcome, TaskResult

_OTHERS = ("standings", "attempts_open", "attempts_ended")


def test_a_task_shows_the_last_state_that_was_recorded(tmp_path: Path) -> None:
    life = life_of_a_call(1, 1)
    expected = ["waiting", "ready", "staged", "running", "collecting", "done"]
    for count, state in enumerate(expected, start=1):
        folder = tmp_path / str(count)
        folder.mkdir()
        assert states(written(folder, life[:count])) == {1: state}


def test_a_producer_that_ran_again_stays_done(tmp_path: Path) -> None:
    again = AttemptId(1, 2)
    rerun: list[Record] = [
        TaskReady(TaskId(1), again=True),
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
    result = replay(path).tasks[TaskId(1)].result
    assert result is not None and result.value == b"P2"


def test_a_task_that_runs_again_shows_where_it_is_until_that_has_ended(tmp_path: Path) -> None:
    again = AttemptId(1, 2)
    rerun: list[Record] = [
        TaskWaits(TaskId(1), again=True),
        TaskReady(TaskId(1), again=True),
        AttemptAssigned(again, TaskId(1), WORKER),
        AttemptStarted(again),
        AttemptEnded(again, Outcome.KILLED),
        TaskEndedAgain(TaskId(1), Outcome.KILLED),
    ]
    for count, state in enumerate(["waiting", "ready", "staged", "running", "done", "failed"], start=1):
        folder = tmp_path / str(count)
        folder.mkdir()
        assert states(written(folder, life_of_a_short_call(1, 1) + rerun[:count])) == {1: state}


def test_a_short_call_is_two_rows_and_readers_find_its_attempt_there(tmp_path: Path) -> None:
    with sqlite3.connect(written(tmp_path, life_of_a_short_call(1, 7))) as connection:
        rows = {table: _rows(connection, table) for table in ("accepted", "ended", *_OTHERS)}
        assert rows == {"accepted": 1, "ended": 1, **dict.fromkeys(_OTHERS, 0)}
        columns = "epoch, counter, task_id, worker_id, assigned_s, started_s, ended_s, outcome, message, run_s, cpu_s"
        found = connection.execute(f"SELECT {columns} FROM attempts").fetchall()
    assert found == [(1, 7, 1, WORKER, 1.0, None, 2.0, "success", None, 0.5, None)]


def test_an_attempt_that_ends_with_its_task_keeps_what_it_has_used_and_when_it_started(tmp_path: Path) -> None:
    attempt, used = AttemptId(1, 1), Measured(1.5, 200.0, 30.0)
    result = TaskResult(TaskId(1), Outcome.SUCCESS, message="said", worker_id=WORKER, measured=used)
    records = [TaskAccepted(call(1)), AttemptAssigned(attempt, TaskId(1), WORKER), AttemptStarted(attempt)]
    with sqlite3.connect(written(tmp_path, [*records, TaskEnded(result, attempt=attempt)])) as connection:
        columns = "assigned_s, started_s, ended_s, message, cpu_s, memory_mb, disk_mb"
        assert connection.execute(f"SELECT {columns} FROM attempts").fetchall() == [
            (1.0, 2.0, 3.0, "said", 1.5, 200.0, 30.0)
        ]
        assert connection.execute("SELECT count(*) FROM attempts_open").fetchone() == (0,)


def test_nothing_is_left_of_an_end_whose_place_another_takes(tmp_path: Path) -> None:
    # given a task that was cancelled before it had an attempt
    cancelled = TaskEnded(TaskResult(TaskId(1), Outcome.CANCELLED, message="cancelled"))
    written(tmp_path, [TaskAccepted(call(1)), cancelled])
    # when a later manager has it end by an attempt
    attempt, success = AttemptId(2, 1), TaskResult(TaskId(1), Outcome.SUCCESS, worker_id=WORKER)
    path = written(tmp_path, [AttemptAssigned(attempt, TaskId(1), WORKER), TaskEnded(success, attempt=attempt)])
    # then it has succeeded, and with no words about it
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT outcome, message FROM tasks").fetchall() == [("success", None)]


def _rows(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def test_of_two_open_attempts_the_one_that_runs_is_what_its_task_shows(tmp_path: Path) -> None:
    first, second = AttemptId(1, 1), AttemptId(2, 1)
    given: list[Record] = [AttemptAssigned(attempt, TaskId(1), WORKER) for attempt in (first, second)]
    assert states(written(tmp_path, [TaskAccepted(call(1)), *given, AttemptStarted(second)])) == {1: "running"}
