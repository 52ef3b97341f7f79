"""The faults of the data network."""

from __future__ import annotations

import random

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import some_bytes
from benchmarks.simulator.faults.network import FaultyNetwork
from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.weather import Rates, Weather
from benchmarks.simulator.network import Pipe, Port
from vine.transfer.edges import Parcel


class World:
    def __init__(self, **rates: float) -> None:
        self.clock = Clock()
        self.weather = Weather(self.clock, random.Random(1), Rates(**rates))
        self.network = FaultyNetwork(self.clock, 0.002, self.weather)
        self.a, self.b = self.port("a"), self.port("b")
        self.came: list[Parcel] = []
        self.pipe: Pipe = self.network.pipe(self.a, self.b, self.came.append)

    def port(self, name: str) -> Port:
        self.network.processes[name] = Process(self.clock, 0.0)
        return self.network.port(name, 1e6, 1e6)

    def send(self, number: int = 0) -> None:
        self.pipe.send(Parcel(b"%d" % number, some_bytes(1000)), 1000)


def test_parcels_come_in_order_though_some_are_late() -> None:
    world = World(late_share=0.5)
    for number in range(20):
        world.send(number)
    world.clock.run()
    assert [parcel.header for parcel in world.came] == [b"%d" % number for number in range(20)]


def test_a_reset_loses_what_is_on_its_way_and_what_waits_and_the_pipe_goes_on() -> None:
    world = World()
    for number in range(3):
        world.send(number)
    world.clock.run(end_s=0.0015)
    world.network.reset(world.a, "b")
    world.send(9)
    world.clock.run()
    assert [parcel.header for parcel in world.came] == [b"9"]


def test_nothing_comes_by_a_way_that_is_closed() -> None:
    world = World()
    world.weather.close([("a", "b")], 1.0)
    world.send()
    world.clock.run()
    assert not world.came


def test_bits_flip_in_what_a_parcel_carries_and_not_in_what_it_says() -> None:
    world = World(flipped_share=1.0)
    world.send(7)
    world.clock.run()
    (parcel,) = world.came
    assert parcel.header == b"7" and parcel.payload is not None and parcel.payload[0] != some_bytes(1)[0]


def test_who_stands_still_takes_what_came_when_he_goes_on() -> None:
    world = World()
    world.network.processes["b"].stand_still(1.0)
    world.send()
    world.clock.run(end_s=0.5)
    assert not world.came
    world.clock.run()
    assert len(world.came) == 1


def test_what_was_on_its_way_when_a_connection_broke_may_come_after_what_the_new_one_brings() -> None:
    world = World(late_share=1e-9)
    orders = set()
    for _ in range(20):
        del world.came[:]
        world.send(1)
        world.clock.run(end_s=world.clock.now() + 0.0015)  # It has left.
        world.network.reset(world.a, "b")
        world.send(2)
        world.clock.run()
        orders.add(tuple(parcel.header for parcel in world.came))
    assert orders == {(b"2",), (b"1", b"2")}
