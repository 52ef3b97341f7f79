"""Would a manager that began now know what the one knows that has written the journal until now?"""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from typing import Any

from vine.scheduler.check import check
from vine.scheduler.core import Scheduler
from vine.scheduler.files import FileRecord
from vine.scheduler.replayed import ReplayedRun, ReplayedTask
from vine.scheduler.state import State
from vine.scheduler.tasks import HELD_BACK, TaskRecord, TaskState
from vine.wire.parts import CategorySpec, HostStanding

_UNBEGUN = (TaskState.WAITING, TaskState.READY)


def compare(live: State, run: ReplayedRun, staged: Set[str]) -> None:
    """AssertionError where the replayed run, or the tables that are made of it, say other things than the live ones."""
    for task_id, record in live.tasks.by_id.items():
        assert task_id in run.tasks, f"task {task_id} was accepted, and the journal does not know it"
        _compare_task(live, record, run.tasks[task_id])
    assert set(live.workers) <= set(run.workers), "a worker is here, and the journal says that it has left"
    core = Scheduler(dataclasses.replace(live.settings, epoch=live.settings.epoch + 1))
    core.restore(run, staged, live.now)
    check(core.state)
    compare_tables(live, core.state)


def compare_tables(live: State, restored: State) -> None:
    if any(record.cancel_requested and not record.state.ended for record in live.tasks.by_id.values()):
        return  # A restart ends these at once, and with them others.
    mine, theirs = promised(live), promised(restored)
    for record in live.tasks.by_id.values():
        if record.state in _UNBEGUN and any(live.files.by_id[f].failure for f in record.inputs):
            return  # This is seen when it is its turn, and by a restart at once.
    again = [record for record in live.tasks.by_id.values() if record.recovering]
    for task_id in {task_id for record in again for task_id in record.spec.depends}:
        if live.tasks.by_id[task_id].result_forgotten:
            del mine["tasks"][task_id]  # Of what runs again the journal knows that it has ended: it holds nothing.
            theirs["tasks"].pop(task_id, None)
    for name, expected in mine.items():
        told = theirs[name]
        for key, value in expected.items():
            assert key in told, f"{name}: a restart forgets {key}: {value}"
            found = told[key]
            differ = {field: (mine, found.get(field)) for field, mine in value.items() if mine != found.get(field)}
            assert not differ, f"{name}: of {key} a restart would change {differ}"
        owed = told.keys() - expected.keys()
        if name == "tasks":
            owed = {task_id for task_id in owed if not restored.tasks.by_id[task_id].state.ended}
        elif name == "files":
            owed = {file_id for file_id in owed if not restored.files.by_id[file_id].forgotten}
        assert not owed, f"{name}: a restart would bring back {owed}"
    for file_id, file in live.files.by_id.items():
        if file.object_id is not None and file.failure is None and not again:
            there = restored.files.by_id[file_id]
            assert there.object_id == file.object_id, f"file {file_id} would be {there}, not {file.object_id}"
            assert there.users == file.users, f"file {file_id} has {file.users} users, and would have {there.users}"


def promised(state: State) -> dict[str, dict[Any, dict[str, Any]]]:
    """What the journal promises to keep of the tables, by the names of these."""
    named = {key for key, category in state.categories.items() if category.spec != CategorySpec(key.name)}
    return {
        "tasks": {record.task_id: _task(record) for record in state.tasks.by_id.values()},
        "files": {file.file_id: _file(file) for file in state.files.by_id.values()},
        "categories": {key: {"spec": state.categories[key].spec} for key in named},
        "hosts": {name: _closed(*how) for name, how in state.closed_hosts.items()},
        "libraries": {
            number: {"spec": library.spec, "removed": library.removed} for number, library in state.libraries.items()
        },
        "clients": {client.index: {"id": client.client_id} for client in state.clients.values()},
    }


def _closed(standing: HostStanding, until_s: float | None) -> dict[str, Any]:
    return {"standing": standing, "until_s": None if until_s is None else round(until_s, 3)}


def _task(record: TaskRecord) -> dict[str, Any]:
    always = {
        "spec": record.spec,
        "outcome": record.outcome,
        "value": record.value,
        "forgotten": record.result_forgotten,
    }
    if record.outcome is None:
        tries = {"attempts": record.attempts, "failures": record.failures}
        return {**always, **tries, "at_maximum": record.at_maximum}
    return {**always, "message": record.message, "path": record.value_path, "generation": record.generation}


def _file(file: FileRecord) -> dict[str, Any]:
    return {
        "spec": file.spec,
        "failure": file.failure,
        "forgotten": file.forgotten,
        "producer": file.producer,
        "path": file.path,
        "unpacked": sorted(file.unpacked),
    }


def _compare_task(live: State, record: TaskRecord, replayed: ReplayedTask) -> None:
    name = f"task {record.task_id}"
    if replayed.result is None:
        told = {record.state.value}
        if record.state is TaskState.READY and not record.attempts:
            told.add(TaskState.WAITING.value)  # It was ready as it was accepted: readers of the journal see that.
        elif HELD_BACK in record.unmet:
            told |= {TaskState.STAGED.value, TaskState.RUNNING.value}  # As it is, for all that anybody knows.
        assert replayed.state in told, f"{name} is {record.state}, and {replayed.state} in the journal"
    attempt = record.attempt
    running = set() if attempt is None or attempt.result is not None else {(attempt.attempt_id, attempt.worker)}
    running |= {
        (attempt_id, worker_id)
        for worker_id, awaited in live.awaited.items()
        for attempt_id, task_id in awaited.attempts.items()
        if task_id == record.task_id
    }
    written = {(open_attempt.attempt_id, open_attempt.worker_id) for open_attempt in replayed.attempts}
    assert running == written, f"{name} has {running}, and in the journal {written}"
