"""When did each attempt run, where, and in which of its worker's slots: the rows behind trace and report."""

from __future__ import annotations

import heapq
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from vine.manager.replay import task_spec
from vine.names import AttemptId, TaskId

# The clocks of a worker and its manager agree about a duration to some milliseconds: what overlaps by less than this
# ran one after the other in one slot.
_SAME_MOMENT_S = 0.01

# When a body began: by the worker's own durations, where the attempt's end has brought them; else when it was told.
_BEGUN = "CASE WHEN run_s > 0 THEN assigned_s + stage_in_s + wait_s ELSE started_s END"
# All attempts whose bodies have begun, and (over_s) when these were over; NULL of those that run.
BODIES = (
    f"SELECT *, {_BEGUN} AS begun_s, CASE WHEN run_s > 0 THEN {_BEGUN} + run_s ELSE ended_s END AS over_s"  # noqa: S608 - our own words
    " FROM attempts WHERE begun_s NOT NULL"
)
_COLUMNS = (
    "epoch, counter, task_id, worker_id, begun_s, over_s, outcome, message, stage_in_s, wait_s, collect_s, cpu_s,"
    " memory_mb"
)


@dataclass(frozen=True, slots=True)
class Span:
    """An attempt whose body has begun; times are wall clock, an attempt that runs ends `now`."""

    attempt: AttemptId
    task_id: TaskId
    label: str
    worker: str
    slot: int  # of its worker, from 0: at no time do two attempts share one
    begun_s: float
    ended_s: float
    outcome: str | None  # None: it runs
    message: str
    stage_in_s: float
    wait_s: float
    collect_s: float
    cpu_s: float | None
    memory_mb: float | None


class Tracks:
    """Gives whatever happens on a node the lowest track on which nothing else happens then; begins must ascend."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._busy: list[tuple[float, int]] = []  # until when
        self._until_s: list[float] = []

    def take(self, begun_s: float, ended_s: float) -> tuple[int, float]:
        """The track, and when the thing begins on it: never before the one before it has ended."""
        while self._busy and self._busy[0][0] <= begun_s + _SAME_MOMENT_S:
            heapq.heappush(self._free, heapq.heappop(self._busy)[1])
        if not self._free:
            self._free.append(len(self._until_s))
            self._until_s.append(begun_s)
        slot = heapq.heappop(self._free)
        begun_s = max(begun_s, self._until_s[slot])
        self._until_s[slot] = max(begun_s, ended_s)
        heapq.heappush(self._busy, (self._until_s[slot], slot))
        return slot, begun_s


def spans(connection: sqlite3.Connection, now_s: float) -> Iterator[Span]:
    """All attempts whose bodies have begun, in the order in which they did."""
    tracks: dict[str, Tracks] = defaultdict(Tracks)
    for row in connection.execute(f"SELECT {_COLUMNS} FROM ({BODIES}) ORDER BY begun_s"):  # noqa: S608 - our own words
        epoch, counter, task_id, worker, begun_s, over_s, outcome, message, stage_in_s, wait_s, *rest = row
        collect_s, cpu_s, memory_mb = rest
        ended_s = now_s if over_s is None else over_s
        slot, begun_s = tracks[worker].take(begun_s, ended_s)
        yield Span(
            AttemptId(epoch, counter), task_id, label_of(connection, task_id), worker, slot, begun_s,
            max(begun_s, ended_s), outcome, message or "", stage_in_s or 0.0, wait_s or 0.0, collect_s or 0.0,
            cpu_s, memory_mb,
        )  # fmt: skip


def label_of(connection: sqlite3.Connection, task_id: TaskId) -> str:
    """What users call the task."""
    row = connection.execute("SELECT spec FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    spec = None if row is None else task_spec(row[0])
    return f"task {task_id}" if spec is None else spec.label or spec.kind.value
