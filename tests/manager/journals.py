"""Records as the scheduler writes them, and journals made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from vine.manager.journal import Journal, file_name
from vine.names import AttemptId, FileId, ObjectId, RunId, TaskId, WorkerId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    Record,
    TaskAccepted,
    TaskEnded,
    TaskReady,
)
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Manifest, Outcome, TaskKind, TaskResult, TaskSpec, Times

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
        TaskEnded(TaskResult(TaskId(task_id), Outcome.SUCCESS, value=b"P2", worker_id=WORKER, task_s=0.6, queue_s=0.1)),
    ]


def life_of_a_short_call(task_id: int, counter: int) -> list[Record]:
    """One that has left nothing but a small value: it ends in one with its attempt."""
    attempt = AttemptId(1, counter)
    result = TaskResult(
        TaskId(task_id), Outcome.SUCCESS, value=b"P2", worker_id=WORKER, times=Times(0.1, 0.2, 0.5, 0.0), task_s=0.9
    )
    return [
        TaskAccepted(call(task_id)),
        AttemptAssigned(attempt, TaskId(task_id), WORKER),
        TaskEnded(result, attempt=attempt),
    ]


def written(path: Path, records: Sequence[Record]) -> Path:
    journal = Journal(path / file_name, RUN)
    for at_s, record in enumerate(records):
        journal.record((record,), float(at_s))
    journal.close("done")
    return path / file_name


def states(path: Path) -> dict[int, str]:
    with sqlite3.connect(path) as connection:
        return dict(connection.execute("SELECT task_id, state FROM tasks"))
