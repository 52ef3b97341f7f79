"""A simulated worker, with the test in the place of the manager."""

from __future__ import annotations

from typing import get_args

import pytest

from benchmarks.simulator.bodies import Body
from benchmarks.simulator.clock import Clock
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.network import Network
from benchmarks.simulator.node import Addresses
from benchmarks.simulator.trace import Trace
from benchmarks.simulator.worker import Place, SimulatedWorker
from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.names import AttemptId, RunId, TaskId
from vine.wire.parts import Assignment, InlineObject, Outcome, Resources, TaskKind
from vine.wire.worker_messages import (
    AttemptsEnded,
    DropObjects,
    EndWorker,
    FromWorker,
    ObjectsHeld,
    RunAttempts,
    StoreObjects,
    TasksStarted,
    WorkerBye,
    WorkerHello,
    WorkerStatus,
    WorkerWelcome,
)
from vine_worker import actions as act


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        machine, network = Machine(self.clock, Speeds()), Network(self.clock, 0.002)
        self.port = network.port("w", 1e9, 1e9)
        self.said: list[FromWorker] = []
        place = Place("w", machine, self.port, Resources(1, 1000, 1000, 0), ("fast",), lambda key: 0, 0.2)
        self.worker = SimulatedWorker(
            place, Addresses(network), lambda assignment: Body(run_s=1.0), self.said.append, Trace(self.clock)
        )
        self.worker.join(first_status_s=0.5)

    def heard(self, kind: type) -> list[FromWorker]:
        return [message for message in self.said if isinstance(message, kind)]


@pytest.fixture
def world() -> World:
    return World()


def test_it_says_hello_and_then_every_second_that_it_is_here(world: World) -> None:
    world.clock.run(end_s=3.0)
    assert [type(message) for message in world.said] == [WorkerHello] + 3 * [WorkerStatus]
    hello = world.said[0]
    assert isinstance(hello, WorkerHello) and (hello.worker_id, hello.features) == ("w", ("fast",))


def test_a_small_object_is_kept_and_told(world: World) -> None:
    data = b"small"
    key = object_id(manifest_of_bytes(data))
    world.worker.hear(StoreObjects((InlineObject(key, data),)))
    assert world.heard(ObjectsHeld) == [ObjectsHeld((key,))]
    world.worker.hear(DropObjects((key,)))
    assert world.worker.core.tick(0.0) == []
    world.worker.core.check()


def test_a_command_is_run_and_its_end_told(world: World) -> None:
    world.worker.hear(WorkerWelcome(RunId("r"), 1, b"k" * 32, 3))
    attempt = AttemptId(1, 1)
    one = Assignment(attempt, TaskId(1), TaskKind.COMMAND, Resources(1, 10, 10, 0), command="true")
    world.worker.hear(RunAttempts((one,)))
    world.clock.run(end_s=2.0)
    assert world.heard(TasksStarted) == [TasksStarted((attempt,))]
    (ended,) = world.heard(AttemptsEnded)
    assert isinstance(ended, AttemptsEnded) and ended.results[0].outcome is Outcome.SUCCESS


def test_one_that_is_told_to_end_says_goodbye_and_nothing_more(world: World) -> None:
    world.worker.hear(EndWorker("enough"))
    world.clock.run(end_s=10.0)
    assert world.said[-1] == WorkerBye("enough")
    assert world.worker.ended


def test_one_whose_machine_is_gone_says_nothing(world: World) -> None:
    world.clock.run(end_s=1.0)
    said = len(world.said)
    world.worker.place.machine.alive = False
    world.worker.hear(EndWorker("enough"))
    world.clock.run(end_s=10.0)
    assert len(world.said) == said


def test_whatever_the_core_asks_for_is_known(world: World) -> None:
    assert world.worker._do.keys() == set(get_args(act.Action))
