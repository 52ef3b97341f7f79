"""How did the data move: every transfer that has ended, and what people call what it moved."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vine.manager.replay import file_spec
from vine.names import TransferId
from vine.scheduler.files import unpacked_id
from vine.views.spans import label_of

_MOVED = (
    "SELECT epoch, counter, object_id, sources, destination, ended_s, seconds, bytes, bytes_from_manager, fault"
    " FROM transfers"
)
_whole = "none"


@dataclass(frozen=True, slots=True)
class Movement:
    """A transfer that has ended; times are wall clock."""

    transfer_id: TransferId
    object_id: str | None
    label: str
    sources: str
    destination: str
    begun_s: float
    ended_s: float
    bytes: int
    bytes_from_manager: int
    fault: str | None  # None: all of it came


def movements(connection: sqlite3.Connection) -> Iterator[Movement]:
    """All of a run, in the order in which they began."""
    labels = _labels(connection)
    for row in connection.execute(f"{_MOVED} ORDER BY ended_s - seconds"):
        yield _movement(row, labels)


def movements_to(
    connection: sqlite3.Connection, destination: str, object_ids: Iterable[str], from_s: float, to_s: float
) -> list[Movement]:
    """Those of some objects to one node within a time, in the order in which they ended."""
    wanted = set(object_ids)
    rows = connection.execute(
        f"{_MOVED} WHERE destination = ? AND ended_s BETWEEN ? AND ? ORDER BY ended_s", (destination, from_s, to_s)
    ).fetchall()
    labels = _labels(connection) if rows else {}
    return [_movement(row, labels) for row in rows if row[2] in wanted]


def _movement(
    row: tuple[int, int, str | None, str, str, float, float, int, int, str], labels: dict[str, str]
) -> Movement:
    epoch, counter, object_id, sources, destination, ended_s, seconds, moved, from_manager, fault = row
    label = sources if object_id is None else labels.get(object_id, object_id[:12])
    return Movement(
        TransferId(epoch, counter), object_id, label, sources, destination, ended_s - seconds, ended_s, moved,
        from_manager, None if fault == _whole else fault,
    )  # fmt: skip


def _labels(connection: sqlite3.Connection) -> dict[str, str]:
    """What each object is known as: a file, an archive's content, or a task's result."""
    labels: dict[str, str] = {}
    results = "SELECT value_object, task_id FROM tasks WHERE value_object IS NOT NULL"
    for object_id, task_id in connection.execute(results).fetchall():
        labels[object_id] = f"result of task {task_id} ({label_of(connection, task_id)})"
    for object_id, encoded in connection.execute("SELECT object_id, spec FROM files WHERE object_id IS NOT NULL"):
        labels[object_id] = file_spec(encoded).label
        labels.setdefault(unpacked_id(object_id), f"{labels[object_id]}, unpacked")
    return labels
