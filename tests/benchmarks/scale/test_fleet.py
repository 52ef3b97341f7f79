"""Simulated workers run what they are given when they have its inputs and cores, and tell of it as real ones do."""

from __future__ import annotations

import random

from benchmarks.scale.fleet import Fleet
from benchmarks.simulator.clock import Clock
from vine.names import AttemptId, ObjectId, PeerKey, TaskId
from vine.wire import messages as m
from vine.wire.parts import Assignment, InlineObject, Resources, TaskKind
from vine.wire.worker_messages import (
    AttemptsEnded,
    ObjectsHeld,
    RunAttempts,
    StoreObjects,
    TasksStarted,
    WorkerBye,
    WorkerStatus,
)

CODE = ObjectId("c" * 64)


class Site:
    """A fleet, and what the manager hears of it but heartbeats."""

    def __init__(self, cores: int = 1) -> None:
        self.clock = Clock()
        self.heard: list[tuple[float, m.Message]] = []
        self.fleet = Fleet(self.clock, random.Random(0), self.hear, lambda assignment: 2.0, b"v", cores)
        self.fleet.join()
        (self.peer,) = self.fleet.workers

    def hear(self, peer: PeerKey, message: m.Message) -> None:
        if not isinstance(message, WorkerStatus):
            self.heard.append((self.clock.now(), message))

    def told(self) -> list[tuple[float, type[m.Message]]]:
        return [(round(at, 3), type(message)) for at, message in self.heard[1:]]

    def give(self, *counters: int, function: ObjectId | None = None) -> None:
        attempts = [
            Assignment(AttemptId(1, n), TaskId(n), TaskKind.CALL, Resources(1.0), function=function) for n in counters
        ]
        self.fleet.take(self.peer, RunAttempts(tuple(attempts)))


def test_what_has_no_core_waits_for_the_end_of_what_has() -> None:
    site = Site()
    site.give(1, 2)
    site.clock.run(end_s=10.0)
    assert site.told() == [
        (0.0, TasksStarted), (2.0, TasksStarted), (2.0, AttemptsEnded), (4.0, AttemptsEnded),
    ]  # fmt: skip


def test_what_lacks_an_input_waits_until_it_is_held() -> None:
    site = Site()
    site.give(1, function=CODE)
    site.clock.run(end_s=1.0)
    assert site.told() == []
    site.fleet.take(site.peer, StoreObjects((InlineObject(CODE, b"code"),)))
    site.clock.run(end_s=10.0)
    assert [kind for _, kind in site.told()] == [ObjectsHeld, TasksStarted, AttemptsEnded]


def test_who_has_left_says_nothing_more() -> None:
    site = Site()
    site.give(1)
    site.clock.run(end_s=1.0)
    site.fleet.leave(site.fleet.workers[site.peer])
    site.clock.run(end_s=10.0)
    assert [kind for _, kind in site.told()] == [TasksStarted, WorkerBye]
