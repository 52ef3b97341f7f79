"""What do the records of one group commit say of tasks and their attempts: as few rows as can tell their lives."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from vine.manager import schema
from vine.manager.schema import Row
from vine.names import AttemptId, TaskId, WorkerId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    CancelAsked,
    TaskAccepted,
    TaskEnded,
    TaskEndedAgain,
    TaskReady,
    TaskWaits,
)
from vine.wire.parts import Outcome

_ACCEPTED = schema.Table("accepted", ["task_id"])
_ENDED = schema.Table("ended", ["task_id"])
_STANDINGS = schema.Table("standings", ["task_id"])
_ATTEMPTS_OPEN = schema.Table("attempts_open", ["task_id", "epoch", "counter"])
_ATTEMPTS_ENDED = schema.Table("attempts_ended", ["epoch", "counter"])

_ACCEPTED_COLUMNS = ("task_id", "accepted_s", "spec")
_OPEN_COLUMNS = ("task_id", "epoch", "counter", "worker_id", "assigned_s", "started_s")
# A task ends by itself, with a call that was short, or with a body that was told to have started.
_BY_ITSELF = ("task_id", "ended_s", "outcome", "worker_id", "result", "message")
_WITH_A_CALL = (
    *_BY_ITSELF[:-1], "epoch", "counter", "assigned_s", "stage_in_s", "wait_s", "run_s", "collect_s"
)  # fmt: skip
_WITH_A_BODY = (*_WITH_A_CALL, "message", "started_s", "cpu_s", "memory_mb", "disk_mb")

Given = tuple[TaskId, WorkerId, float, float | None]  # to whom an attempt was given, when, and when it started

_END_STATE = {Outcome.SUCCESS: "done", Outcome.CANCELLED: "cancelled"}

_encode = msgspec.msgpack.Encoder().encode


def attempts_open(connection: sqlite3.Connection) -> dict[AttemptId, Given]:
    """Those that the tables say have not ended, for the first batch of a manager."""
    rows = connection.execute(f"SELECT {', '.join(_OPEN_COLUMNS)} FROM attempts_open")  # noqa: S608 - our own
    return {AttemptId(epoch, counter): (task_id, *given) for task_id, epoch, counter, *given in rows}


class Lives:
    """Folds these records, in order. Most tasks are calls that come and go: those are one row each way."""

    def __init__(self, attempts_open: dict[AttemptId, Given]) -> None:
        """`attempts_open` are those of the tables; `write` brings both up to date."""
        self._open = attempts_open
        self._given: dict[AttemptId, Given] = {}  # since then, and not ended
        self._closed: list[object] = []  # keys of attempts of the tables that have ended, one behind the other
        self._accepted: list[object] = []  # values of all rows, one behind the other: most rows are of these two
        self._ended: dict[tuple[str, ...], list[object]] = {}  # ... by columns
        self._standings: dict[TaskId, Row] = {}
        self._attempts_ended: dict[AttemptId, Row] = {}
        self.on: dict[type, Callable[[Any, float], None]] = {
            TaskAccepted: self._task_accepted,
            TaskReady: self._task_ready,
            TaskWaits: self._task_waits,
            TaskEnded: self._task_ended,
            TaskEndedAgain: self._task_ended_again,
            CancelAsked: self._cancel_asked,
            AttemptAssigned: self._attempt_assigned,
            AttemptStarted: self._attempt_started,
            AttemptEnded: self._attempt_ended,
        }

    def write(self, connection: sqlite3.Connection) -> None:
        _ACCEPTED.write_alike(connection, _ACCEPTED_COLUMNS, self._accepted)
        for columns, values in self._ended.items():
            # Whole: an end that takes the place of one whose result was lost says all that is to be known.
            _ENDED.replace_alike(connection, columns, values)
        _STANDINGS.write(connection, self._standings.values())
        self._write_attempts(connection)

    def _write_attempts(self, connection: sqlite3.Connection) -> None:
        _ATTEMPTS_ENDED.write(connection, self._attempts_ended.values())
        _ATTEMPTS_OPEN.delete(connection, self._closed)
        rows = [
            value
            for (epoch, counter), (task_id, *given) in self._given.items()
            for value in (task_id, epoch, counter, *given)
        ]
        _ATTEMPTS_OPEN.write_alike(connection, _OPEN_COLUMNS, rows)
        self._open.update(self._given)

    # --- tasks -----------------------------------------------------------------------------------

    def standing(self, task_id: TaskId) -> Row:
        """What there is to say of a task beside its specification and its end: to be filled in."""
        row = self._standings.get(task_id)
        if row is None:
            row = self._standings[task_id] = {"task_id": task_id}
        return row

    def _task_accepted(self, record: TaskAccepted, at_s: float) -> None:
        spec = record.spec
        self._accepted += (spec.task_id, at_s, _encode(spec))

    def _task_ready(self, record: TaskReady, at_s: float) -> None:
        row = self.standing(record.task_id)
        row["again" if record.again else "state"] = "ready"
        row["ready_s"] = at_s

    def _task_waits(self, record: TaskWaits, at_s: float) -> None:
        self.standing(record.task_id)["again" if record.again else "state"] = "waiting"

    def _task_ended(self, record: TaskEnded, at_s: float) -> None:
        result, attempt = record.result, record.attempt
        task_id = result.task_id
        # A small one's row says that it needs no path: to write None here, too, would cost each task a second row.
        if record.value_path is not None or result.remote:
            self.standing(task_id)["value_path"] = record.value_path
        end = (task_id, at_s, result.outcome.value, result.worker_id, _encode(result))
        if attempt is None:
            self._add_end(_BY_ITSELF, (*end, result.message or None))
            return
        given, times, used = self._take(attempt), result.times, result.measured
        assert given is not None, f"{attempt} has ended with its task, and was given to nobody"
        _, _, assigned_s, started_s = given
        took = (*end, *attempt, assigned_s, times.stage_in_s, times.wait_s, times.run_s, times.collect_s)
        if used is None and started_s is None and not result.message:
            self._add_end(_WITH_A_CALL, took)
        else:
            measured = (None, None, None) if used is None else (used.cpu_s, used.memory_mb, used.disk_mb)
            self._add_end(_WITH_A_BODY, (*took, result.message or None, started_s, *measured))

    def _add_end(self, columns: tuple[str, ...], values: tuple[object, ...]) -> None:
        self._ended.setdefault(columns, []).extend(values)

    def _task_ended_again(self, record: TaskEndedAgain, at_s: float) -> None:
        row = self.standing(record.task_id)
        row["again"] = _END_STATE.get(record.outcome, "failed")
        if record.instead is not None:
            row["instead"] = _encode(record.instead)
            row["generations"] = 0

    def _cancel_asked(self, record: CancelAsked, at_s: float) -> None:
        self.standing(record.task_id)["cancel"] = 1

    # --- attempts --------------------------------------------------------------------------------

    def _attempt_assigned(self, record: AttemptAssigned, at_s: float) -> None:
        self._given[record.attempt] = (record.task_id, record.worker_id, at_s, None)

    def _attempt_started(self, record: AttemptStarted, at_s: float) -> None:
        given = self._given.get(record.attempt) or self._open.get(record.attempt)
        if given is not None:
            self._given[record.attempt] = (*given[:3], at_s)

    def _take(self, attempt: AttemptId) -> Given | None:
        """What is known of one that has ended; None if it had ended before."""
        given, written = self._given.pop(attempt, None), self._open.pop(attempt, None)
        if written is not None:
            self._closed += (written[0], *attempt)
        return given or written

    def _attempt_ended(self, record: AttemptEnded, at_s: float) -> None:
        row = self._attempts_ended.get(record.attempt)
        if row is None:
            row = self._attempts_ended[record.attempt] = {
                "epoch": record.attempt.epoch,
                "counter": record.attempt.counter,
            }
        given = self._take(record.attempt)
        if given is not None:
            row["task_id"], row["worker_id"], row["assigned_s"], row["started_s"] = given
            standing = self.standing(given[0])
            standing["state"], standing["again"] = "collecting", None
        times, used = record.times, record.measured
        row["ended_s"] = at_s
        row["outcome"] = record.outcome.value
        row["message"] = record.message
        row["stage_in_s"] = times.stage_in_s
        row["wait_s"] = times.wait_s
        row["run_s"] = times.run_s
        row["collect_s"] = times.collect_s
        if used is not None:
            row["cpu_s"] = used.cpu_s
            row["memory_mb"] = used.memory_mb
            row["disk_mb"] = used.disk_mb
