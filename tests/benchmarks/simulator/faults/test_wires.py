"""Connections of dealers with a router: in order, until they break."""

from __future__ import annotations

import pytest
import zmq

from tests.benchmarks.simulator.faults.wires_world import WiresWorld
from vine.names import MANAGER
from vine.wire.sockets import role_of


def test_envelopes_come_in_order_though_some_are_late() -> None:
    world = WiresWorld(late_share=0.5)
    for number in range(50):
        world.dealer.send_multipart([b"%d" % number])
    world.wait(40.0)
    assert [frames for _, frames in world.heard()] == [[b"%d" % number] for number in range(50)]


def test_the_router_says_whose_connection_it_is_and_answers_by_its_route() -> None:
    world = WiresWorld()
    world.dealer.send_multipart([b"header", b"payload"])
    world.wait()
    route = world.router.recv()
    assert isinstance(route, bytes)
    first = world.router.recv(copy=False)
    assert role_of(first).value == "worker" and first.more  # type: ignore[arg-type,union-attr] # as the hub asks
    world.router.recv_multipart()
    world.router.send_multipart([route, b"answer"])
    world.wait()
    assert world.dealer.recv_multipart() == [b"answer"]


def test_what_is_on_its_way_as_a_connection_breaks_is_lost_and_another_one_is_made() -> None:
    world = WiresWorld()
    world.dealer.send_multipart([b"lost"])
    old = world.dealer.wire
    assert old is not None
    world.wires.reset(old)
    old.late = False
    world.dealer.send_multipart([b"later"])
    world.wait()
    assert [frames for _, frames in world.heard()] == [[b"later"]] and world.dealer.connections == 2
    with pytest.raises(zmq.ZMQError):
        world.router.send_multipart([old.route, b"to nobody"])


def test_what_the_router_had_taken_in_before_a_break_may_come_after_what_was_sent_since() -> None:
    world = WiresWorld()
    old = world.dealer.wire
    assert old is not None
    world.dealer.send_multipart([b"first"])
    world.wires.reset(old)
    old.late = True
    old.up.due = 0
    world.dealer.send_multipart([b"second"])
    world.wait()
    assert {route for route, _ in world.heard()} > {old.route}


def test_a_way_that_is_closed_for_a_moment_holds_what_goes_by_it() -> None:
    world = WiresWorld()
    world.weather.close([("w", MANAGER)], 2.0)
    world.dealer.send_multipart([b"held"])
    world.wait(1.0)
    assert not world.heard()
    world.wait(3.0)
    assert [frames for _, frames in world.heard()] == [[b"held"]] and world.dealer.connections == 1


def test_a_connection_that_nothing_comes_by_is_closed_and_made_anew_when_that_is_possible() -> None:
    world = WiresWorld()
    world.weather.close([("w", MANAGER)], 20.0)
    world.dealer.send_multipart([b"lost"])
    world.wait(15.0)
    assert world.dealer.wire is None
    world.wait(10.0)
    assert world.dealer.wire is not None and world.dealer.connections == 2


def test_an_envelope_may_come_twice() -> None:
    world = WiresWorld(doubled_share=1.0)
    world.dealer.send_multipart([b"twice"])
    world.wait()
    assert len(world.heard()) == 2


def test_a_new_manager_is_found_by_those_that_the_old_one_has_left() -> None:
    world = WiresWorld()
    world.wires.manager_gone()
    world.wait(3.0)
    assert world.dealer.wire is None
    world.wires.listen(world.router)
    world.wait(3.0)
    assert world.dealer.wire is not None


def test_a_process_that_is_gone_connects_no_more() -> None:
    world = WiresWorld()
    world.wires.process_gone(world.dealer)
    world.wait(5.0)
    assert world.dealer.wire is None and not world.wires.live
