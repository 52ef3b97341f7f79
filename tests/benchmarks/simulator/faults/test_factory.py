"""A factory and the workers that it launches."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults.factory import FaultyFactory
from benchmarks.simulator.faults.process import Process
from vine.names import WorkerId
from vine.wire import messages as wire
from vine.wire.parts import Request, Resources, WorkDemand
from vine_factory.policy import FleetLimits


@dataclass
class World:
    clock: Clock = field(default_factory=Clock)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    said: list[wire.FromFactory] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = FleetLimits(0, 2, Resources(1, 100, 100), idle_timeout_s=5.0)
        process = Process(self.clock, 0.0)
        stop = lambda name, reason: self.stopped.append(name)  # noqa: E731 - beside what it belongs to
        self.factory = FaultyFactory("f", process, limits, self.started.append, stop)
        self.factory.say = self.said.append
        self.factory.begin()

    def demand(self, tasks: int, *idle: str) -> None:
        work = (WorkDemand(Request(cores=1), tasks),) if tasks else ()
        here = tuple(WorkerId(name) for name in self.started)
        self.factory.hear(wire.FleetDemand(work, (), here, tuple(WorkerId(name) for name in idle)))


@pytest.fixture
def world() -> World:
    return World()


def test_it_launches_as_many_as_the_work_needs_and_no_more_than_it_may(world: World) -> None:
    world.demand(7)
    world.clock.run(end_s=1.0)
    assert world.started == ["f-1", "f-2"] and world.factory.fleet == {"f-1", "f-2"}
    assert world.said[-1] == wire.FactoryStatus(starting=2, running=0)


def test_one_that_ends_is_followed_by_another_while_there_is_work(world: World) -> None:
    world.demand(1)
    world.clock.run(end_s=20.0)
    world.factory.ended("f-1")
    world.clock.run(end_s=40.0)
    assert world.started == ["f-1", "f-2"] and world.factory.fleet == {"f-2"}


def test_those_that_idle_are_let_go_in_time(world: World) -> None:
    world.demand(1)
    world.clock.run(end_s=1.0)
    world.demand(0, "f-1")
    world.clock.run(end_s=10.0)
    assert world.said[-1] == wire.FactoryStatus(starting=0, running=0, draining=(WorkerId("f-1"),))
    assert world.stopped == [], "the manager ends it, when it has nothing left to do"
