"""What is asserted as a body begins."""

from __future__ import annotations

import random

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.faults.store import FaultyStore
from benchmarks.simulator.faults.watch import BodyWatch
from benchmarks.simulator.faults.weather import Rates, Weather
from benchmarks.simulator.machine import Machine, Speeds
from vine.content.manifest import object_id
from vine.names import AttemptId, TaskId
from vine.wire.parts import Assignment, ObjectMount, Resources, TaskKind

DATA = manifest_of("data", 1000)
KEY = object_id(DATA)


@pytest.fixture
def watch() -> BodyWatch:
    clock = Clock()
    store = FaultyStore(Machine(clock, Speeds()), Weather(clock, random.Random(1), Rates()), 1 << 30)
    return BodyWatch("w", store, Resources(2, 100, 100, 0))


def assignment(number: int, cores: float = 1, inputs: bool = False) -> Assignment:
    mounts = (ObjectMount(KEY, "data"),) if inputs else ()
    return Assignment(AttemptId(1, number), TaskId(number), TaskKind.COMMAND, Resources(cores), inputs=mounts)


def test_a_body_may_not_begin_without_an_input_or_with_one_that_nobody_has_verified(watch: BodyWatch) -> None:
    with pytest.raises(AssertionError, match="without"):
        watch.begins(assignment(1, inputs=True))
    watch._store.put(KEY, DATA)
    watch.begins(assignment(1, inputs=True))
    watch._store.damaged.add(KEY)
    with pytest.raises(AssertionError, match="nobody has verified"):
        watch.begins(assignment(2, inputs=True))


def test_an_unpacked_folder_is_an_input_too(watch: BodyWatch) -> None:
    watch.folders.add(KEY)
    watch.begins(assignment(1, inputs=True))


def test_no_more_runs_than_there_is_room_for(watch: BodyWatch) -> None:
    watch.begins(assignment(1))
    with pytest.raises(AssertionError, match="while it runs"):
        watch.begins(assignment(1))
    watch.begins(assignment(2))
    with pytest.raises(AssertionError, match="3 of 2 cores"):
        watch.begins(assignment(3))
    watch.ends(AttemptId(1, 3))
    watch.ends(AttemptId(1, 2))
    watch.begins(assignment(4))
