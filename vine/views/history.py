"""What has happened to one task: when it was submitted, where each attempt went, and what that waited for."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import Any

from vine.manager.replay import task_spec
from vine.names import TaskId
from vine.scheduler.tasks import input_files
from vine.views.tables import amount_of_bytes, fine_duration
from vine.views.transfers import Movement, movements_to
from vine.wire.parts import Outcome

_attempts_shown_max = 20
_ATTEMPTS = (
    "SELECT epoch, counter, worker_id, assigned_s, started_s, ended_s, outcome, message, stage_in_s, wait_s, run_s,"
    " collect_s, cpu_s, memory_mb FROM attempts WHERE task_id = ? ORDER BY epoch, counter"
)


def history(connection: sqlite3.Connection, task_id: TaskId) -> list[str]:
    """One line an event, each with the time since the task was submitted."""
    accepted_s, ready_s, ended_s, outcome, encoded = connection.execute(
        "SELECT accepted_s, ready_s, ended_s, outcome, spec FROM tasks WHERE task_id = ?", (task_id,)
    ).fetchone()
    events = [(accepted_s, f"submitted at {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(accepted_s))}")]
    if ready_s is not None:
        events.append((ready_s, "it is ready: all that it waits for is there"))
    attempts = connection.execute(_ATTEMPTS, (task_id,)).fetchall()
    inputs = _objects(connection, input_files(task_spec(encoded)))
    for attempt in attempts[-_attempts_shown_max:]:
        events += _events_of(connection, attempt, inputs)
    if ended_s is not None:
        events.append((ended_s, f"its result is committed: {outcome}"))
    events.sort(key=lambda event: event[0])  # Stable: of one moment in the order in which they were told.
    skipped = len(attempts) - _attempts_shown_max
    first = [f"its first {skipped} attempts are left out"] if skipped > 0 else []
    return [*first, *(f"+ {fine_duration(max(0.0, at_s - accepted_s))}: {what}" for at_s, what in events)]


def _objects(connection: sqlite3.Connection, file_ids: Iterable[int]) -> list[str]:
    """The contents of these files, where they have any."""
    found = [connection.execute("SELECT object_id FROM files WHERE file_id = ?", (n,)).fetchone() for n in file_ids]
    return [row[0] for row in found if row is not None and row[0] is not None]


def _events_of(connection: sqlite3.Connection, row: tuple[Any, ...], inputs: list[str]) -> Iterator[tuple[float, str]]:
    epoch, counter, worker, assigned_s, started_s, ended_s, outcome, message, *times, cpu_s, memory_mb = row
    name = f"attempt {epoch}.{counter}"
    hostname, log_path = _place_of(connection, worker, assigned_s)
    yield assigned_s, f"{name} is given to {worker}{f' ({hostname})' if hostname else ''}"
    until_s = started_s or ended_s or time.time()
    for movement in movements_to(connection, worker, inputs, assigned_s, until_s):
        yield movement.ended_s, _moved(movement)
    if started_s is not None:
        yield started_s, f"{name} runs"
    if ended_s is not None:
        cause = f": {message}" if message else ""
        log = f" (log: {log_path})" if log_path and outcome != Outcome.SUCCESS.value else ""
        yield ended_s, f"{name} has ended: {outcome}{_took(times, cpu_s, memory_mb)}{cause}{log}"


def _place_of(connection: sqlite3.Connection, worker: str, at_s: float) -> tuple[str, str]:
    """The host of a worker and where its log lies, as it joined last before then."""
    row = connection.execute(
        "SELECT hostname, log_path FROM workers WHERE worker_id = ? AND joined_s <= ? ORDER BY joining DESC",
        (worker, at_s),
    ).fetchone()
    return ("", "") if row is None else row


def _moved(movement: Movement) -> str:
    moved = f"{amount_of_bytes(movement.bytes)} in {fine_duration(movement.ended_s - movement.begun_s)}"
    end = f"came from {movement.sources}" if movement.fault is None else f"did not come from {movement.sources}"
    return f"{movement.label} {end}, {moved}" + ("" if movement.fault is None else f": {movement.fault}")


def _took(times: list[float | None], cpu_s: float | None, memory_mb: float | None) -> str:
    """Where its time went, as far as its worker has told."""
    names = ("inputs {}", "waited {}", "ran {}", "outputs {}")
    parts = [name.format(fine_duration(took)) for name, took in zip(names, times, strict=True) if took]
    if cpu_s is not None:
        parts.append(f"used {fine_duration(cpu_s)} of processor and {memory_mb:.0f} MB")
    return f" ({', '.join(parts)})" if parts else ""
