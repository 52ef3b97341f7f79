"""The true link on a simulated socket."""

from __future__ import annotations

import random

from benchmarks.simulator.faults.line import Line
from benchmarks.simulator.faults.process import Process
from tests.benchmarks.simulator.faults.wires_world import WiresWorld
from vine.errors import ManagerLost, VineError
from vine.names import ClientId, HostId
from vine.wire import messages as wire
from vine.wire.parts import Role


def a_line(world: WiresWorld, lost: list[VineError]) -> Line:
    hello = wire.ClientHello(ClientId("c"), HostId("h"), "3.11")
    process = Process(world.clock, 7.0)
    dice = random.Random(1)
    return Line(
        world.wires,
        "client",
        Role.CLIENT,
        process,
        dice,
        wire.ToClient,
        lambda: hello,
        lambda message: None,
        lost.append,
    )


def test_it_says_hello_by_itself_and_sends_what_it_is_given_in_the_same_turn() -> None:
    world = WiresWorld()
    line = a_line(world, [])
    line.send(wire.ClientBye())
    world.wait(0.1)
    assert len(world.heard()) == 1


def test_a_manager_that_never_answers_is_told_of_once() -> None:
    world, lost = WiresWorld(), list[VineError]()
    a_line(world, lost)
    world.wait(200.0)
    assert [type(error) for error in lost] == [ManagerLost]


def test_equal_dice_open_equal_sessions() -> None:
    said = []
    for _ in range(2):
        world = WiresWorld()
        a_line(world, [])
        world.wait(0.1)
        said.append(world.heard())
    assert said[0] == said[1]
