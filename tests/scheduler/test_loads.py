"""Who is the emptiest of those that have room, as loads change?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine.names import AttemptId, HostId, PeerKey, TaskId, WorkerId
from vine.scheduler.loads import Loads, few
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import Attempt, TaskRecord
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import Request, Resources, TaskKind, TaskSpec
from vine.wire.worker_messages import WorkerHello

CORES = 4.0
NOBODY: frozenset[WorkerId] = frozenset()


def worker(name: str) -> WorkerRecord:
    hello = WorkerHello(
        WorkerId(name), HostId(name), "host", 1, Resources(CORES, 1000, 1000), (), "3", "tcp://h:1", "tcp://h:2"
    )
    return WorkerRecord(PeerKey(name), hello, 0.0, 0.0)


def shape(cores: float = 1.0) -> Shape:
    return Shape(f"{cores}", 0, Request(cores=cores), (), (), None)


def take(loads: Loads, record: WorkerRecord, number: int) -> None:
    task = TaskRecord(TaskSpec(TaskId(number), TaskKind.CALL), PeerKey("client"), 0.0)
    task.attempt = Attempt(AttemptId(1, number), record.worker_id, 0.0, Resources(1.0))
    record.take(task)
    loads.change(record)


def end_one(loads: Loads, record: WorkerRecord) -> None:
    if record.attempts:
        record.release(next(iter(record.attempts.values())), 0.0)
        loads.change(record)


def join(loads: Loads, name: str) -> None:
    record = worker(name)
    loads.add(record)
    loads.change(record)


def emptiest_by_looking_at_all(loads: Loads, asked: Shape) -> WorkerRecord | None:
    usable = [record for record in loads.workers.values() if asked.usable(record)]
    return min(usable, key=lambda record: (record.load, record.joined), default=None)


steps = st.lists(
    st.tuples(st.sampled_from(["joins", "leaves", "takes", "ends", "asks-small", "asks-large"]), st.integers(0, 5))
)


@given(steps)
def test_the_index_of_a_shape_says_what_a_look_at_all_workers_says(todo: list[tuple[str, int]]) -> None:
    # given
    loads, shapes = Loads(), {"asks-small": shape(1.0), "asks-large": shape(3.0)}
    for number, (what, which) in enumerate(todo):
        name = WorkerId(f"w{which}")
        known = loads.workers.get(name)
        # when
        if what == "joins" and known is None:
            join(loads, name)
        elif what == "leaves" and known is not None:
            loads.remove(name)
        elif what == "takes" and known is not None:
            take(loads, known, number)
        elif what == "ends" and known is not None:
            end_one(loads, known)
        elif what in shapes:
            # then
            asked = shapes[what]
            assert loads.emptiest(asked, NOBODY, None) is emptiest_by_looking_at_all(loads, asked)


def test_who_is_avoided_or_not_among_the_places_is_passed_over_and_found_again() -> None:
    # given
    loads, asked = Loads(), shape()
    for name in ("a", "b", "c"):
        join(loads, name)
    # when
    avoiding = loads.emptiest(asked, {WorkerId("a")}, None)
    there = loads.emptiest(asked, NOBODY, {WorkerId("c")})
    # then
    assert (avoiding, there) == (loads.workers[WorkerId("b")], loads.workers[WorkerId("c")])
    assert loads.emptiest(asked, NOBODY, None) is loads.workers[WorkerId("a")]


def test_what_is_remembered_does_not_grow_with_the_changes() -> None:
    loads = Loads()
    join(loads, "a")
    join(loads, "b")
    for number in range(1000):
        take(loads, loads.workers[WorkerId("a")], number)
    assert [record.worker_id for record in loads.changed_since(0)] == ["a", "b"]
    assert sum(1 for _ in loads.changed_since(loads.changes - 5)) == 1
    assert len(loads._changed) < 100


def test_many_holders_are_not_told_apart() -> None:
    assert list(few({WorkerId("b"), WorkerId("a")})) == ["a", "b"]
    assert list(few({WorkerId(f"w{number}") for number in range(65)})) == []
