"""Whatever comes in whatever order, the least is at the head."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine.names import TaskId
from vine.scheduler.queues import Entry, Queue

entries = st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.integers(0, 30), st.just(TaskId(1)))


@given(st.lists(entries, max_size=5), st.lists(st.one_of(entries, st.none()), max_size=60))
def test_a_queue_gives_out_what_a_sorted_list_would(first: list[Entry], steps: list[Entry | None]) -> None:
    queue, known = Queue(first), sorted(first)
    for step in steps:
        if step is not None:
            queue.push(step)
            known = sorted([*known, step])
        elif known:
            assert queue.head == known[0]
            assert queue.pop() == known.pop(0)
        assert len(queue) == len(known) and sorted(queue) == known
        assert bool(queue) == bool(known)
