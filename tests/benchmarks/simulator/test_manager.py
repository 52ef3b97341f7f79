"""A simulated manager, with the test in the place of its peers."""

from __future__ import annotations

from typing import get_args

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.control import Channel, Control
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.manager import SimulatedManager
from benchmarks.simulator.network import Network
from benchmarks.simulator.node import Addresses
from benchmarks.simulator.trace import Trace
from vine import config
from vine.content.manifest import object_id
from vine.names import ClientId, FileId, HostId, PeerKey, numbered
from vine.scheduler import actions
from vine.scheduler.settings import Spread
from vine.wire import messages as wire
from vine.wire.codec import Decoder
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Signature

CLIENT = PeerKey("client")
_decoder: Decoder[wire.ToClient] = Decoder(wire.ToClient)


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        network = Network(self.clock, 0.002)
        port = network.port("manager", 1e9, 1e9)
        self.manager = SimulatedManager(
            Machine(self.clock, Speeds()), port, Addresses(network), Trace(self.clock), Spread.FOREST, 3
        )
        self.heard: list[wire.Message] = []
        there = network.port("client", 1e9, 1e9)
        self.manager.connect(CLIENT, Channel(network, port, there, _decoder, self.heard.append, Control()))

    def say(self, message: wire.Message) -> None:
        self.manager.hear(CLIENT, message)

    def joins(self) -> None:
        self.say(wire.ClientHello(ClientId("c"), HostId("host-manager"), "3.11"))


@pytest.fixture
def world() -> World:
    return World()


def test_who_says_hello_is_welcomed_and_gets_news_as_time_passes(world: World) -> None:
    world.joins()
    world.clock.run(end_s=10.0)
    assert isinstance(world.heard[0], wire.ClientWelcome)
    assert isinstance(world.heard[-1], wire.RunState)


def test_a_client_is_there_for_as_long_as_the_run(world: World) -> None:
    world.joins()
    world.clock.run(end_s=3 * config.manager_lost_after_s)
    assert list(world.manager.scheduler.state.clients) == [CLIENT]


def test_a_file_that_is_bound_is_served_until_it_is_forgotten(world: World) -> None:
    world.joins()
    manifest, file_id = manifest_of("big", 1000), FileId(numbered(0, 1))
    key = object_id(manifest)
    spec = FileSpec(file_id, FileKind.LOCAL, CacheLevel.WORKFLOW, "big", path="/data/big")
    world.say(wire.DeclareFiles((spec,)))
    world.say(wire.FileBound(file_id, key, manifest, "/data/big", Signature(1000, 1, 1)))
    assert world.manager.node.sender.knows(key)
    world.say(wire.ForgetFiles((file_id,)))
    assert not world.manager.node.sender.knows(key)


def test_what_a_run_is_ended_for_is_told(world: World) -> None:
    world.joins()
    world.manager.stop("enough")
    world.clock.run()
    assert world.manager.end_reason == "enough"
    assert isinstance(world.heard[-1], wire.Refused)


def test_whatever_the_core_asks_for_is_known(world: World) -> None:
    assert world.manager._do.keys() == set(get_args(actions.Action))
