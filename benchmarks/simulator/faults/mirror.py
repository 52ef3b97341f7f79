"""Would a manager that began now know what the one knows that has written the journal until now?"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Set
from typing import Any

from benchmarks.simulator.faults.leeway import ALL, GONE, Leeway, has_failed
from vine.names import FileId, TaskId
from vine.scheduler.check import check
from vine.scheduler.core import Scheduler
from vine.scheduler.files import FileRecord
from vine.scheduler.replayed import ReplayedRun, ReplayedTask
from vine.scheduler.state import State
from vine.scheduler.tasks import HELD_BACK, TaskRecord, TaskState
from vine.wire.parts import CategorySpec, HostStanding

_Promised = dict[str, dict[Any, dict[str, Any]]]


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
    mine, theirs, leeway = promised(live), promised(restored), Leeway(live, restored)
    for name, expected in mine.items():
        told = theirs[name]
        for key, value in expected.items():
            loose = leeway.of(name, key)
            if ALL in loose or (GONE in loose and key not in told):
                continue
            assert key in told, f"{name}: a restart forgets {key}: {value}"
            found = told[key]
            changed = {field for field, before in value.items() if before != found.get(field)} - loose
            differ = {field: (value[field], found.get(field)) for field in sorted(changed)}
            assert not differ, f"{name}: of {key} a restart would change {differ}"
    _compare_owed(live, restored, leeway.own_tasks(), mine, theirs)
    _compare_contents(live, restored, leeway)


def _compare_owed(live: State, restored: State, own: Set[TaskId], mine: _Promised, theirs: _Promised) -> None:
    """What is there after a restart only is what has ended, what was forgotten, and `own` tasks of lost files."""
    tasks, files = restored.tasks.by_id, restored.files.by_id
    more = {task_id for task_id in tasks.keys() - live.tasks.by_id.keys() - own if not tasks[task_id].state.ended}
    assert not more, f"tasks: a restart would bring back {more}"
    unknown = {file_id for file_id in files.keys() - live.files.by_id.keys() if not files[file_id].forgotten}
    assert not unknown, f"files: a restart would bring back {unknown}"
    for name in ("categories", "hosts", "libraries", "clients"):
        others = theirs[name].keys() - mine[name].keys()
        assert not others, f"{name}: a restart would bring back {others}"


def _compare_contents(live: State, restored: State, leeway: Leeway) -> None:
    mine, theirs = _runs_again(live), _runs_again(restored)
    for file_id, file in live.files.by_id.items():
        there = restored.files.by_id.get(file_id)
        if there is None or file_id in leeway.files or file.failure is not None:
            continue
        if file.object_id is not None and not (there.object_id is None and leeway.is_lost(file)):
            assert there.object_id == file.object_id, f"file {file_id} would be {there}, not {file.object_id}"
        if leeway.keeps_users(file_id):
            users, would_be = file.users - mine[file_id], there.users - theirs[file_id]
            assert would_be == users, f"file {file_id} has {users} users, and would have {would_be}"


def _runs_again(state: State) -> Counter[FileId]:
    """How many tasks that need a file run again, and would not need it otherwise."""
    again = (record for record in state.tasks.by_id.values() if record.recovering and not record.generation)
    return Counter(file_id for record in again for file_id in record.inputs)


def promised(state: State) -> _Promised:
    """What the journal promises to keep of the tables, by the names of these."""
    named = {key for key, category in state.categories.items() if category.spec != CategorySpec(key.name)}
    return {
        "tasks": {record.task_id: _task(record) for record in state.tasks.by_id.values()},
        "files": {
            file.file_id: {**_file(file), "producer": _maker(state, file)} for file in state.files.by_id.values()
        },
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
        tries = {"attempts": record.attempts, "failures": record.failures, "losses": record.losses}
        return {**always, **tries, "at_maximum": record.at_maximum}
    return {**always, "message": record.message, "path": record.value_path, "generation": record.generation}


def _file(file: FileRecord) -> dict[str, Any]:
    return {
        "spec": file.spec,
        "failure": file.failure,
        "forgotten": file.forgotten,
        "path": file.path,
        "unpacked": sorted(file.unpacked),
    }


def _maker(state: State, file: FileRecord) -> TaskId | None:
    """Which of several is named that have all failed hangs on the order in which they did: none of them runs again."""
    maker = None if file.producer is None else state.tasks.by_id.get(file.producer)
    return None if maker is not None and has_failed(maker) else file.producer


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
