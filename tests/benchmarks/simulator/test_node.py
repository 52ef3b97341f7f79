"""Simulated transfer nodes, with orders as a manager would give them."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.network import Network, Port
from benchmarks.simulator.node import Addresses, SimulatedNode
from benchmarks.simulator.store import SimulatedStore
from benchmarks.simulator.trace import Trace
from vine.content.manifest import object_id
from vine.names import TransferId, WorkerId
from vine.transfer import tokens
from vine.transfer.events import Fetched, FetchFailed, NodeEvent
from vine.wire.parts import FetchFault, Role, SourceEdge
from vine.wire.worker_messages import FetchObject

SECRET = b"s" * 32
SIZE = 20 << 20
MANIFEST = manifest_of("object", SIZE)
KEY = object_id(MANIFEST)


class Peer:
    """A node, its store and what it has told."""

    def __init__(self, world: World, name: str) -> None:
        self.name = WorkerId(name)
        self.machine = Machine(world.clock, Speeds())
        self.port: Port = world.network.port(name, self.machine.speeds.up, self.machine.speeds.down)
        self.store = SimulatedStore(self.machine)
        self.events: list[tuple[NodeEvent, float]] = []
        self.node = SimulatedNode(
            name, Role.WORKER, self.machine, self.port, world.addresses, self.store,
            lambda event: self.events.append((event, world.clock.now())), Trace(world.clock),
        )  # fmt: skip
        self.node.set_source_key(tokens.source_key(SECRET, self.name))


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock, latency_s=0.002)
        self.addresses = Addresses(self.network)
        self.orders = 0

    def peer(self, name: str, has_it: bool = False) -> Peer:
        peer = Peer(self, name)
        if has_it:
            peer.store.put(KEY, MANIFEST)
        return peer

    def order(self, wanter: Peer, *sources: Peer) -> FetchObject:
        self.orders += 1
        transfer = TransferId(1, self.orders)
        edges = [
            SourceEdge(
                source.name, Role.WORKER, source.node.requests_endpoint,
                tokens.mint(tokens.source_key(SECRET, source.name), transfer, KEY, wanter.node.chunks_endpoint),
            )
            for source in sources
        ]  # fmt: skip
        return FetchObject(transfer, KEY, MANIFEST, tuple(edges))


@pytest.fixture
def world() -> World:
    return World()


def outcome(peer: Peer) -> Any:
    ((event, _),) = peer.events
    return event


def test_an_object_comes_as_fast_as_the_link_and_the_credit_allow(world: World) -> None:
    source, wanter = world.peer("source", has_it=True), world.peer("wanter")
    wanter.node.fetch(world.order(wanter, source))
    world.clock.run()
    ((event, at),) = wanter.events
    assert isinstance(event, Fetched) and event.received_bytes == SIZE
    assert SIZE / 1.25e9 < at < 0.06
    assert wanter.store.chunk_count(KEY) == 80
    assert source.node.sent_bytes() == SIZE


def test_a_node_passes_on_what_it_has_not_got_whole_yet(world: World) -> None:
    source, middle, last = world.peer("source", has_it=True), world.peer("middle"), world.peer("last")
    last.node.fetch(world.order(last, middle))
    middle.node.fetch(world.order(middle, source))
    world.clock.run()
    ends = [peer.events[0][1] for peer in (middle, last)]
    assert ends[1] < ends[0] + 0.01  # and not after twice the time
    assert last.node.first_chunk_s[KEY] < ends[0]


def test_chunks_come_from_several_sources_by_turns(world: World) -> None:
    sources, wanter = [world.peer(f"s{n}", has_it=True) for n in range(3)], world.peer("wanter")
    wanter.node.fetch(world.order(wanter, *sources))
    world.clock.run()
    assert isinstance(outcome(wanter), Fetched)
    assert [peer.node.sent_bytes() for peer in sources] == [27 << 18, 27 << 18, 26 << 18]


def test_a_source_that_dies_is_blamed_once_nothing_can_be_sent_to_it(world: World) -> None:
    source, wanter = world.peer("source", has_it=True), world.peer("wanter")
    wanter.node.fetch(world.order(wanter, source))

    def die() -> None:
        source.machine.alive = False
        world.network.unplug(source.port)

    world.clock.after(0.01, die)
    world.clock.run()
    event = outcome(wanter)
    assert isinstance(event, FetchFailed) and event.source == source.name
    assert event.fault is FetchFault.SOURCE_GONE


def test_a_fetch_that_is_abandoned_ends_so_and_the_next_one_resumes_it(world: World) -> None:
    source, wanter = world.peer("source", has_it=True), world.peer("wanter")
    order = world.order(wanter, source)
    wanter.node.fetch(order)
    world.clock.after(0.012, lambda: wanter.node.abandon(order.transfer_id))
    world.clock.run()
    event = outcome(wanter)
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.ABANDONED
    wanter.node.fetch(world.order(wanter, source))
    world.clock.run()
    again = wanter.events[1][0]
    assert isinstance(again, Fetched) and 0 < again.received_bytes < SIZE


def test_who_has_no_token_of_the_source_gets_nothing(world: World) -> None:
    source, wanter = world.peer("source", has_it=True), world.peer("wanter")
    source.node.set_source_key(b"another")
    wanter.node.fetch(world.order(wanter, source))
    world.clock.run()
    assert isinstance(outcome(wanter), FetchFailed)
    assert source.node.sent_bytes() == 0
    assert source.node.sender.unauthorised


def test_what_is_forgotten_is_not_served(world: World) -> None:
    source, wanter = world.peer("source", has_it=True), world.peer("wanter")
    source.store.remove(KEY)
    source.node.forget(KEY)
    wanter.node.fetch(world.order(wanter, source))
    world.clock.run()
    assert isinstance(outcome(wanter), FetchFailed)


def test_nodes_that_have_nothing_to_do_ask_for_no_time(world: World) -> None:
    source, wanter = world.peer("source", has_it=True), world.peer("wanter")
    wanter.node.fetch(world.order(wanter, source))
    world.clock.run(end_s=60.0)
    happened = world.clock.happened
    world.clock.run(end_s=600.0)
    assert world.clock.happened == happened
