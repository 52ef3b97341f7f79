"""Why is this task where it is: the answer for one task, from the journal alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vine.errors import UsageError
from vine.manager.replay import file_spec, task_spec
from vine.names import FileId, TaskId
from vine.scheduler.tasks import input_files, shape_key
from vine.views.reading import Run
from vine.wire.messages import FileKind, FileSpec, TaskSpec

_named_max = 10  # Dependencies that are named one by one.


@dataclass(frozen=True, slots=True)
class _Task:
    task_id: TaskId
    state: str
    outcome: str | None
    message: str
    worker_id: str | None
    spec: TaskSpec

    def title(self) -> str:
        label = f" ({self.spec.label})" if self.spec.label else ""
        return f"task {self.task_id}{label}"


def why(run: Run, number: str) -> list[str]:
    """The task's state and its reason, then one line for each thing that it waits for."""
    if not number.isdecimal():
        raise UsageError(f"{number!r} is no task: name it by the number that `submit` returned")
    task = _find(run.connection, int(number))
    if task is None:
        raise UsageError(f"the run in {run.run_dir} knows no task {number} (yet): see `vine-status` for what it knows")
    if task.outcome is not None and task.state in ("done", "failed", "cancelled"):
        return [_ended(task)]
    heard = run.snapshot()
    snapshot = heard[1] if heard is not None else {}
    reasons = _reasons_of_state[task.state](run.connection, snapshot, task)
    first, *more = reasons
    return [f"{task.title()}: {task.state}: {first}", *(f"  {line}" for line in more)]


def _find(connection: sqlite3.Connection, number: int) -> _Task | None:
    if number >= 1 << 63:
        return None
    columns = "task_id, state, outcome, message, worker_id, spec"
    row = connection.execute(f"SELECT {columns} FROM tasks WHERE task_id = ?", (number,)).fetchone()  # noqa: S608
    if row is None:
        return None
    task_id, state, outcome, message, worker_id, spec = row
    return _Task(task_id, state, outcome, message or "", worker_id, task_spec(spec))


def _ended(task: _Task) -> str:
    where = f" on {task.worker_id}" if task.worker_id else ""
    cause = f": {task.message}" if task.message else ""
    return f"{task.title()}: {task.state}{where} ({task.outcome}){cause}"


# --- a reason for each state -----------------------------------------------------------------------


def _why_waiting(connection: sqlite3.Connection, snapshot: dict[str, Any], task: _Task) -> list[str]:
    lines = [*_unmet_tasks(connection, task.spec), *_unmet_files(connection, task.spec)]
    if not lines:
        return ["all that it waited for is there; the manager is about to make it ready"]
    count = len(lines)
    if count == 1:
        return [f"waits for {lines[0]}"]
    shown = [f"waits for {line}" for line in lines[:_named_max]]
    rest = [f"and {count - _named_max} more"] if count > _named_max else []
    return [f"waits for {count} results and files", *shown, *rest]


def _why_ready(connection: sqlite3.Connection, snapshot: dict[str, Any], task: _Task) -> list[str]:
    reason = snapshot.get("shapes", {}).get(shape_key(task.spec))
    if reason is not None:
        return [reason]
    if not snapshot.get("workers"):
        return ["waits for a worker: none is connected; start some with vine-worker or vine-factory"]
    return ["waits for room on a worker; the manager tells more within a second"]


def _why_staged(connection: sqlite3.Connection, snapshot: dict[str, Any], task: _Task) -> list[str]:
    reason = snapshot.get("staged", {}).get(str(task.task_id))
    worker = _worker_of(connection, task.task_id)
    return [reason or f"is assigned to {worker}: its inputs are on their way there, or it queues behind other tasks"]


def _why_running(connection: sqlite3.Connection, snapshot: dict[str, Any], task: _Task) -> list[str]:
    return [f"runs on {_worker_of(connection, task.task_id)}"]


def _why_collecting(connection: sqlite3.Connection, snapshot: dict[str, Any], task: _Task) -> list[str]:
    worker = _worker_of(connection, task.task_id)
    return [f"has ended on {worker}: the manager brings its results from there, or is about to send it out again"]


_reasons_of_state: dict[str, Callable[[sqlite3.Connection, dict[str, Any], _Task], list[str]]] = {
    "waiting": _why_waiting,
    "ready": _why_ready,
    "staged": _why_staged,
    "running": _why_running,
    "collecting": _why_collecting,
}


# --- what it waits for -----------------------------------------------------------------------------


def _worker_of(connection: sqlite3.Connection, task_id: TaskId) -> str:
    latest = "SELECT worker_id FROM attempts WHERE task_id = ? ORDER BY epoch DESC, counter DESC LIMIT 1"
    row = connection.execute(latest, (task_id,)).fetchone()
    return str(row[0]) if row is not None else "a worker"


def _unmet_tasks(connection: sqlite3.Connection, spec: TaskSpec) -> Iterator[str]:
    for task_id in dict.fromkeys(spec.depends):
        needed = _find(connection, task_id)
        if needed is not None and needed.outcome is None:
            yield f"the result of {needed.title()}, which is {needed.state}"


def _unmet_files(connection: sqlite3.Connection, spec: TaskSpec) -> Iterator[str]:
    for file_id in dict.fromkeys(input_files(spec)):
        row = connection.execute("SELECT object_id, failure, spec FROM files WHERE file_id = ?", (file_id,)).fetchone()
        if row is None:
            continue
        object_id, failure, encoded = row
        if failure is not None:
            yield f"{file_spec(encoded).label}, which cannot be had: {failure}"
        elif object_id is None:
            yield _why_unbound(connection, file_spec(encoded))


def _why_unbound(connection: sqlite3.Connection, file: FileSpec) -> str:
    if file.kind is FileKind.UNTAR:
        return f"{file.label}: its archive is being read and hashed by the client"
    maker = _maker_of(connection, file.file_id)
    if maker is not None:
        return f"{file.label}, which {maker.title()} makes; that one is {maker.state}"
    if file.kind is FileKind.TEMP or not file.exists:
        return f"{file.label}, which no submitted task makes"
    return f"{file.label}, which is being read and hashed by the client"


def _maker_of(connection: sqlite3.Connection, file_id: FileId) -> _Task | None:
    """Which open task promises this file. Looks through all of them: nobody asks this often."""
    for task_id, encoded in connection.execute("SELECT task_id, spec FROM tasks WHERE outcome IS NULL"):
        if any(mount.file_id == file_id for mount in task_spec(encoded).outputs):
            return _find(connection, task_id)
    return None
