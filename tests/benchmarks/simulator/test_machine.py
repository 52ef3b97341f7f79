from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.machine import Machine, Server, SimulatedJobs, Speeds
from vine.errors import DiskFull

SPEEDS = Speeds(up=100, down=100, hashing=100, disk=200)


class World:
    def __init__(self, threads: int) -> None:
        self.clock = Clock()
        self.machine = Machine(self.clock, SPEEDS)
        self.jobs = SimulatedJobs(self.machine, threads)
        self.ended: list[tuple[object, float]] = []

    def run(self, result: object, hashed: int = 0, moved: int = 0) -> None:
        def job() -> object:
            self.machine.hashed += hashed
            self.machine.moved += moved
            return result

        self.jobs.run(job, self.note)

    def note(self, future: Any) -> None:
        self.ended.append((future.result(), self.clock.now()))


def test_a_job_takes_the_time_of_what_it_hashes_and_then_writes() -> None:
    world = World(threads=1)
    world.run("a", hashed=100, moved=100)
    world.clock.run()
    assert world.ended == [("a", pytest.approx(1.5))]


def test_two_threads_share_one_processor_and_one_disk() -> None:
    world = World(threads=2)
    for name in "ab":
        world.run(name, hashed=100, moved=100)
    world.clock.run()
    # While the first is written, the second is hashed.
    assert world.ended == [("a", pytest.approx(1.5)), ("b", pytest.approx(2.5))]


def test_jobs_wait_for_a_thread_in_order() -> None:
    world = World(threads=1)
    for name in "abc":
        world.run(name, moved=200)
    assert world.jobs.running == 3
    world.clock.run()
    assert world.ended == [("a", pytest.approx(1)), ("b", pytest.approx(2)), ("c", pytest.approx(3))]
    assert world.jobs.running == 0


def test_the_error_of_a_job_is_told_to_whoever_asks_for_its_result() -> None:
    world, heard = World(threads=1), list[Callable[[], object]]()

    def job() -> None:
        raise DiskFull("no room")

    world.jobs.run(job, lambda future: heard.append(future.result))
    world.clock.run()
    with pytest.raises(DiskFull, match="no room"):
        heard[0]()


def test_our_own_mistakes_are_not_hidden() -> None:
    world = World(threads=1)
    with pytest.raises(ZeroDivisionError):
        world.jobs.run(lambda: 1 // 0, world.note)


def test_a_machine_that_is_gone_ends_nothing() -> None:
    world = World(threads=1)
    world.run("a", moved=200)
    world.machine.alive = False
    world.clock.run()
    assert world.ended == []


def test_a_server_is_idle_until_it_is_asked() -> None:
    server = Server(per_s=10)
    assert [server.take(10, 0.0), server.take(10, 0.5), server.take(10, 5.0), server.take(0, 0.1)] == [
        1.0,
        2.0,
        6.0,
        0.1,
    ]


def test_a_slower_node_has_slower_links() -> None:
    assert SPEEDS.slower(4) == Speeds(up=25, down=25, hashing=100, disk=200)
