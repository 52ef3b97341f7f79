from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.manager.journals import life_of_a_call, life_of_a_short_call
from vine.manager import schema
from vine.manager.batch import Batch
from vine.manager.lives import Given
from vine.names import AttemptId, TaskId
from vine.scheduler.records import (
    Record,
    TaskWaits,
)


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    records: list[Record] = []
    for task_id in range(1, draw(st.integers(1, 6)) + 1):
        life = draw(st.sampled_from([life_of_a_call, life_of_a_short_call]))
        records += life(task_id, task_id)[: draw(st.integers(1, 6))]
        if draw(st.booleans()):
            records.insert(len(records) - 1, TaskWaits(TaskId(1)))
    return records


@settings(deadline=None, max_examples=50)
@given(histories(), st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_where_the_group_commits_fall_makes_no_difference(history: list[Record], sizes: list[int]) -> None:
    def dump(groups: list[list[Record]]) -> list[str]:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.executescript(schema.script)
        attempts_open: dict[AttemptId, Given] = {}
        for group in groups:
            batch = Batch(attempts_open)
            for record in group:
                batch.add((record,), 1.0)
            batch.write(connection)
        return sorted(line for line in connection.iterdump())

    groups, rest, turn = [], list(history), 0
    while rest:
        size = sizes[turn % len(sizes)]
        groups.append(rest[:size])
        rest, turn = rest[size:], turn + 1
    assert dump(groups) == dump([history])
