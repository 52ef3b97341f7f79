from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.manager.journals import WORKER, life_of_a_call, states, written
from vine.manager.batch import Batch
from vine.manager.replay import replay
from vine.names import AttemptId, TaskId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    Record,
    TaskReady,
    TaskWaits,
)
from vine.wire.parts import Outcome


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
        TaskReady(TaskId(1)),
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


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    records: list[Record] = []
    for task_id in range(1, draw(st.integers(1, 6)) + 1):
        records += life_of_a_call(task_id, task_id)[: draw(st.integers(1, 6))]
        if draw(st.booleans()):
            records.insert(len(records) - 1, TaskWaits(TaskId(1)))
    return records


@settings(deadline=None, max_examples=50)
@given(histories(), st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_where_the_group_commits_fall_makes_no_difference(history: list[Record], sizes: list[int]) -> None:
    def dump(groups: list[list[Record]]) -> list[str]:
        from vine.manager import schema

        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.executescript(schema.script)
        task_of: dict[AttemptId, TaskId] = {}
        for group in groups:
            batch = Batch(task_of)
            for record in group:
                batch.add(record, 1.0)
            batch.write(connection)
        return sorted(line for line in connection.iterdump())

    groups, rest, turn = [], list(history), 0
    while rest:
        size = sizes[turn % len(sizes)]
        groups.append(rest[:size])
        rest, turn = rest[size:], turn + 1
    assert dump(groups) == dump([history])
