from __future__ import annotations

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.unpacking import Unpacking
from vine.names import ObjectId
from vine_worker import actions as act

TREE, ARCHIVE = ObjectId("e" * 64), ObjectId("a" * 64)


class World:
    """A worker that unpacks its archive in two seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[act.LocalEvent, float]] = []
        machine = Machine(self.clock, Speeds(unpacking=100))
        self.unpacking = Unpacking(
            machine, lambda archive: 200, lambda event: self.told.append((event, self.clock.now()))
        )

    def start(self, ahead: bool = False) -> None:
        self.unpacking.start(act.StartUnpack(TREE, ARCHIVE, "environment", ahead))


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_here_is_unpacked_in_its_time(world: World) -> None:
    world.start()
    world.clock.run()
    assert world.told == [(act.Unpacked(TREE), 2.0)]
    assert world.unpacking.unpacked_s == {TREE: 2.0}


@pytest.mark.parametrize(("comes_s", "ends_s"), [(0.5, 2.0), (5.0, 5.0)])
def test_what_still_arrives_is_unpacked_when_both_are_done(world: World, comes_s: float, ends_s: float) -> None:
    world.start(ahead=True)
    world.clock.after(comes_s, lambda: world.unpacking.archive_came(act.ArchiveCame(TREE)))
    world.clock.run()
    assert world.told == [(act.Unpacked(TREE), ends_s)]


def test_what_is_stopped_is_told_once_and_can_be_begun_again(world: World) -> None:
    world.start()
    world.clock.after(1.0, lambda: world.unpacking.stop(act.StopUnpack(TREE)))
    world.clock.after(1.5, world.start)
    world.clock.run()
    assert world.told == [(act.Unpacked(TREE, cut=True), 1.0), (act.Unpacked(TREE), 3.5)]
    world.unpacking.stop(act.StopUnpack(TREE))
    assert len(world.told) == 2
