"""Why is this task where it is: the answer for one task, from the journal alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vine.errors import UsageError
from vine.manager.replay import file_spec, task_spec
from vine.names import FileId, TaskId, WorkerId, client_index_of
from vine.scheduler import gates
from vine.scheduler.tasks import ALONE, AT_MOST, input_files, shape_key
from vine.views.reading import Run
from vine.wire.parts import FileKind, FileSpec, TaskSpec

_tasks = "SELECT task_id, state, outcome, message, worker_id, spec FROM tasks"
_named_max = 10  # Dependencies that are named one by one.


@dataclass(frozen=True, slots=True)
class KnownTask:
    task_id: TaskId
    state: str
    outcome: str | None
    message: str
    worker_id: str | None
    spec: TaskSpec

    def title(self) -> str:
        label = f" ({self.spec.label})" if self.spec.label else ""
        return f"task {self.task_id}{label}"


@dataclass(frozen=True, slots=True)
class _File:
    spec: FileSpec
    bound: bool  # it had content at least once
    failure: str | None
    maker: KnownTask | None  # of the content that it had


def why(run: Run, number: str) -> list[str]:
    """The task's state and its reason, then one line for each thing that it waits for."""
    task = find(run, number)
    if task.outcome is not None and task.state in ("done", "failed", "cancelled"):
        return [_ended(task)]
    heard = run.snapshot()
    snapshot = heard[1] if heard is not None else {}
    state = state_of(run.connection, snapshot, task)
    first, *more = _reasons_of_state[state](run.connection, snapshot, task)
    return [f"{task.title()}: {state}: {first}", *(f"  {line}" for line in more)]


def find(run: Run, number: str) -> KnownTask:
    """The task of this number; UsageError if the run has none."""
    if not number.isdecimal():
        raise UsageError(f"{number!r} is no task: name it by its number, a Task's `id` or a future's `task_id`")
    task = _find(run.connection, int(number))
    if task is None:
        raise UsageError(f"the run in {run.run_dir} knows no task {number} (yet): see `vine-status` for what it knows")
    return task


def _find(connection: sqlite3.Connection, number: int) -> KnownTask | None:
    if number >= 1 << 63:
        return None
    row = connection.execute(f"{_tasks} WHERE task_id = ?", (number,)).fetchone()
    return None if row is None else _known(*row)


def open_tasks(connection: sqlite3.Connection) -> Iterator[KnownTask]:
    """Those that have not ended, in the order in which they were submitted."""
    for row in connection.execute(f"{_tasks} WHERE outcome IS NULL ORDER BY accepted_s, task_id").fetchall():
        yield _known(*row)


def _known(
    task_id: TaskId, state: str, outcome: str | None, message: str | None, worker_id: WorkerId | None, spec: bytes
) -> KnownTask:
    return KnownTask(task_id, state, outcome, message or "", worker_id, task_spec(spec))


def state_of(connection: sqlite3.Connection, snapshot: dict[str, Any], task: KnownTask) -> str:
    """The state as it is. That a task became ready is not always recorded: it has nothing to wait for any more."""
    if task.state != "waiting" or _starts_in(task) > 0 or _workers_awaited(snapshot, task):
        return task.state
    if _unmet_tasks(connection, task.spec):
        return task.state
    return "waiting" if _unmet_files(connection, snapshot, task.spec) else "ready"


def _ended(task: KnownTask) -> str:
    where = f" on {task.worker_id}" if task.worker_id else ""
    cause = f": {task.message}" if task.message else ""
    return f"{task.title()}: {task.state}{where} ({task.outcome}){cause}"


# --- a reason for each state -----------------------------------------------------------------------


def _why_waiting(connection: sqlite3.Connection, snapshot: dict[str, Any], task: KnownTask) -> list[str]:
    lines = [
        f"waits for the result of {needed.title()}, which is {state_of(connection, snapshot, needed)}"
        for needed in _unmet_tasks(connection, task.spec)
    ]
    files = _unmet_files(connection, snapshot, task.spec)
    lines += [f"waits for {_why_no_file(connection, snapshot, file)}" for file in files]
    if awaited := _workers_awaited(snapshot, task):
        lines.append(gates.why(awaited, len(snapshot["workers"])))
    if _starts_in(task) > 0:
        lines.append(f"waits for its start time, which is in {_starts_in(task):.1f} s")
    if len(lines) == 1:
        return lines
    rest = [f"and {len(lines) - _named_max} more"] if len(lines) > _named_max else []
    return [f"waits for {len(lines)} results and files", *lines[:_named_max], *rest]


def _why_ready(connection: sqlite3.Connection, snapshot: dict[str, Any], task: KnownTask) -> list[str]:
    shapes, key = snapshot.get("shapes", {}), shape_key(task.spec)
    reason = next(filter(None, map(shapes.get, (key, key + AT_MOST, key + ALONE, key + AT_MOST + ALONE))), None)
    if reason is not None:
        return [reason]
    if not snapshot.get("workers"):
        return ["waits for a worker: none is connected; start some with vine-worker or vine-factory"]
    return ["waits for room on a worker; the manager tells more within a second"]


def _why_staged(connection: sqlite3.Connection, snapshot: dict[str, Any], task: KnownTask) -> list[str]:
    reason = snapshot.get("staged", {}).get(str(task.task_id))
    worker = worker_of(connection, task.task_id)
    return [reason or f"is assigned to {worker}: its inputs are on their way there, or it queues behind other tasks"]


def _why_running(connection: sqlite3.Connection, snapshot: dict[str, Any], task: KnownTask) -> list[str]:
    return [f"runs on {worker_of(connection, task.task_id)}"]


def _why_collecting(connection: sqlite3.Connection, snapshot: dict[str, Any], task: KnownTask) -> list[str]:
    worker = worker_of(connection, task.task_id)
    return [f"has ended on {worker}: the manager brings its results from there, or is about to send it out again"]


def _why_no_file(connection: sqlite3.Connection, snapshot: dict[str, Any], file: _File) -> str:
    label, kind = file.spec.label, file.spec.kind
    if file.failure is not None:
        return f"{label}, which cannot be had: {file.failure}"
    if kind is FileKind.UNTAR:
        archive = None if file.spec.source is None else _find_file(connection, file.spec.source)
        if archive is not None and archive.spec.kind is FileKind.URL:
            return _why_no_file(connection, snapshot, archive)
        return f"{label}: its archive is not there yet"
    if kind is FileKind.URL:
        return f"{label}, which {_who_downloads(snapshot, file)}"
    maker = file.maker or _maker_of(connection, file.spec.file_id)
    if maker is not None:
        again = " again, for its copies were lost" if maker.outcome is not None else ""
        return f"{label}, which {maker.title()} makes{again}; that one is {state_of(connection, snapshot, maker)}"
    if kind is FileKind.TEMP or not file.spec.exists:
        return f"{label}, which no submitted task makes"
    return f"{label}, which is being read and hashed by the client"


def _who_downloads(snapshot: dict[str, Any], file: _File) -> str:
    download = _download_of(snapshot, file)
    if download is None:
        return "a worker is to download"
    if download["worker"] is not None:
        return f"{download['worker']} downloads since {download['seconds']:.1f} s"
    before = f" (the last try: {download['trouble']})" if download["trouble"] else ""
    return f"a worker is to download, and none is free{before}"


def _download_of(snapshot: dict[str, Any], file: _File) -> dict[str, Any] | None:
    downloads: list[dict[str, Any]] = snapshot.get("downloads", [])
    return next((download for download in downloads if file.spec.file_id in download["files"]), None)


_reasons_of_state: dict[str, Callable[[sqlite3.Connection, dict[str, Any], KnownTask], list[str]]] = {
    "waiting": _why_waiting,
    "ready": _why_ready,
    "staged": _why_staged,
    "running": _why_running,
    "collecting": _why_collecting,
}


def _starts_in(task: KnownTask) -> float:
    policy = task.spec.policy
    return 0.0 if policy is None or policy.starts_at_s is None else policy.starts_at_s - time.time()


def _workers_awaited(snapshot: dict[str, Any], task: KnownTask) -> int:
    """How many workers its client waits for, if it does."""
    awaited: int = snapshot.get("workers_awaited", {}).get(str(client_index_of(task.task_id)), 0)
    return awaited


# --- what it waits for -----------------------------------------------------------------------------


def worker_of(connection: sqlite3.Connection, task_id: TaskId) -> str:
    latest = "SELECT worker_id FROM attempts WHERE task_id = ? ORDER BY epoch DESC, counter DESC LIMIT 1"
    row = connection.execute(latest, (task_id,)).fetchone()
    return str(row[0]) if row is not None else "a worker"


def _unmet_tasks(connection: sqlite3.Connection, spec: TaskSpec) -> list[KnownTask]:
    """Those whose results are not there."""
    found = [_find(connection, task_id) for task_id in dict.fromkeys(spec.depends)]
    return [needed for needed in found if needed is not None and needed.outcome is None]


def _unmet_files(connection: sqlite3.Connection, snapshot: dict[str, Any], spec: TaskSpec) -> list[_File]:
    """Those that no worker could be given now."""
    found = [_find_file(connection, file_id) for file_id in dict.fromkeys(input_files(spec))]
    return [file for file in found if file is not None and not _is_there(connection, snapshot, file)]


def _is_there(connection: sqlite3.Connection, snapshot: dict[str, Any], file: _File) -> bool:
    if file.failure is not None:
        return False
    if file.spec.source is not None:
        archive = _find_file(connection, file.spec.source)
        return archive is not None and _is_there(connection, snapshot, archive)
    if file.spec.data is not None:
        return True
    if file.spec.kind is FileKind.URL and _download_of(snapshot, file) is not None:
        return False
    # Copies that were lost are made again by their producer, which has left its state `done` for that.
    return file.bound and (file.maker is None or file.maker.state == "done")


def _find_file(connection: sqlite3.Connection, file_id: FileId) -> _File | None:
    query = "SELECT object_id, failure, spec, attempt_epoch, attempt_counter FROM files WHERE file_id = ?"
    row = connection.execute(query, (file_id,)).fetchone()
    if row is None:
        return None
    object_id, failure, encoded, *attempt = row
    query = "SELECT task_id FROM attempts WHERE epoch = ? AND counter = ?"
    maker = None if attempt[0] is None else connection.execute(query, attempt).fetchone()
    return _File(
        file_spec(encoded), object_id is not None, failure, None if maker is None else _find(connection, *maker)
    )


def _maker_of(connection: sqlite3.Connection, file_id: FileId) -> KnownTask | None:
    """Which open task promises this file. Looks through all of them: nobody asks this often."""
    for task_id, encoded in connection.execute("SELECT task_id, spec FROM tasks WHERE outcome IS NULL"):
        if any(mount.file_id == file_id for mount in task_spec(encoded).outputs):
            return _find(connection, task_id)
    return None
