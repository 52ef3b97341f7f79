from __future__ import annotations

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.edges import SimulatedEdges
from benchmarks.simulator.network import Network
from vine import config
from vine.transfer.edges import Parcel
from vine.wire.parts import Role


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock, latency_s=0.01)
        self.here, self.there = self.network.port("here", 100, 100), self.network.port("there", 100, 100)
        self.heard: list[bytes] = []
        pipe = self.network.pipe
        self.edges = SimulatedEdges(
            lambda endpoint: pipe(self.here, self.there, self.take) if endpoint == "there" else None
        )

    def take(self, parcel: Parcel) -> None:
        self.heard.append(parcel.header)

    def send(self, parcel: Parcel, endpoint: str = "there") -> None:
        self.edges.send(endpoint, Role.WORKER, parcel, self.clock.now())


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_sent_arrives_and_payloads_take_their_time(world: World) -> None:
    world.send(Parcel(b"want"))
    world.send(Parcel(b"c", b"x" * 99))
    world.clock.run(end_s=0.5)
    assert world.heard == [b"want"]
    world.clock.run()
    assert world.heard == [b"want", b"c"]


def test_a_socket_takes_as_much_as_its_queue_holds_and_the_rest_when_there_is_room(world: World) -> None:
    left: list[int] = []
    count = config.data_hwm_messages + 3
    for number in range(count):
        world.send(Parcel(b"", b"x" * 100, left=lambda sent, number=number: left.append(number)))  # type: ignore[misc]
    assert len(left) == config.data_hwm_messages
    world.clock.run()
    assert left == list(range(count))
    assert len(world.heard) == count
    assert world.edges.expire(world.clock.now()) == []


def test_what_is_wanted_no_more_when_its_turn_comes_is_dropped(world: World) -> None:
    told: list[bool] = []
    world.send(Parcel(b"c", b"x" * 100, wanted=lambda: False, left=told.append))
    world.clock.run()
    assert told == [False] and not world.heard


def test_an_endpoint_that_nobody_has_is_told(world: World) -> None:
    world.send(Parcel(b"hello"), endpoint="nowhere")
    assert world.edges.expire(0.0) == ["nowhere"]
    assert world.edges.expire(0.0) == []


def test_an_edge_to_a_node_that_is_gone_is_given_up_after_a_while(world: World) -> None:
    world.send(Parcel(b"before"))
    world.network.unplug(world.there)
    world.send(Parcel(b"after"))
    assert world.edges.expire(config.edge_silence_s - 0.1) == []
    assert world.edges.expire(config.edge_silence_s) == ["there"]
    assert len(world.edges) == 0


def test_an_idle_edge_is_closed(world: World) -> None:
    world.send(Parcel(b"hello"))
    world.clock.run()
    assert world.edges.expire(config.edge_idle_s - 0.1) == [] and len(world.edges) == 1
    assert world.edges.expire(config.edge_idle_s + 0.1) == [] and len(world.edges) == 0


def test_it_is_known_when_an_edge_is_to_be_looked_at_next(world: World) -> None:
    assert world.edges.idle_at() == float("inf")
    world.send(Parcel(b"want"))
    world.clock.run()
    assert world.edges.idle_at() == config.edge_idle_s
    for _ in range(config.data_hwm_messages + 1):
        world.send(Parcel(b"", b"x" * 100))
    assert world.edges.idle_at() < 0, "it is blocked: at once"
