from __future__ import annotations

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.control import Channel, Control
from benchmarks.simulator.network import Network
from vine.errors import MalformedMessage
from vine.wire import messages as wire
from vine.wire.codec import Decoder
from vine.wire.worker_messages import DropObjects, EndWorker, ToWorker

_decoder: Decoder[ToWorker] = Decoder(ToWorker)


class World:
    def __init__(self, control: Control) -> None:
        self.clock = Clock()
        self.network = Network(self.clock, latency_s=0.01)
        self.here, self.there = self.network.port("here", 100, 100), self.network.port("there", 100, 100)
        self.heard: list[tuple[wire.Message, float]] = []
        self.channel = Channel(self.network, self.here, self.there, _decoder, self.take, control)

    def take(self, message: wire.Message) -> None:
        self.heard.append((message, self.clock.now()))


@pytest.mark.parametrize("encoded", [False, True])
def test_messages_come_late_in_order_and_as_they_were(encoded: bool) -> None:
    world = World(Control(encoded=encoded))
    sent = [EndWorker("one"), DropObjects(("ab" * 32,)), EndWorker("two")]  # type: ignore[arg-type]
    for message in sent:
        world.channel.send(message)
    world.clock.run()
    assert world.heard == [(message, pytest.approx(0.01)) for message in sent]


def test_what_is_no_message_for_its_receiver_is_found_when_messages_are_encoded() -> None:
    world = World(Control(encoded=True))
    with pytest.raises(MalformedMessage):
        world.channel.send(DropObjects(("no hash",)))  # type: ignore[arg-type]


def test_bytes_take_their_time_if_they_are_weighed() -> None:
    world = World(Control(weighed=True))
    world.channel.send(EndWorker("x" * 200))
    world.clock.run()
    assert 2.0 < world.heard[0][1] < 2.5


def test_what_is_said_to_those_who_are_gone_is_lost() -> None:
    world = World(Control())
    world.network.unplug(world.there)
    world.channel.send(EndWorker("bye"))
    world.clock.run()
    assert world.heard == []
