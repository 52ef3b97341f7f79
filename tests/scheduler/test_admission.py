"""Who comes back is known by its key, and nobody gets what is another's."""

from __future__ import annotations

import pytest

from tests.scheduler.restarting import KEY, RestartingWorld
from vine.names import ClientId, HostId
from vine.scheduler.actions import PeerKey
from vine.wire import messages as m

OTHER = PeerKey("other")


def answers(world: RestartingWorld, hello: m.ClientHello) -> list[m.Message]:
    """What the manager says to a hello."""
    before = len(world.done)
    world.step(world.core.handle(OTHER, hello, world.now))
    return [action.message for action in world.done[before:] if getattr(action, "peer", None) == OTHER]


def hello(name: str = "c", key: bytes | None = KEY, index: int | None = 0, epoch: int = 1) -> m.ClientHello:
    return m.ClientHello(ClientId(name), HostId("here"), "3.11", key, index, epoch)


def test_a_client_that_proves_itself_gets_its_number_back_and_its_tasks() -> None:
    world = RestartingWorld()
    task = world.submit()
    world.crash()
    (welcome,) = answers(world, hello())
    assert isinstance(welcome, m.ClientWelcome) and (welcome.client_index, welcome.epoch) == (0, 2)
    assert world.core.state.tasks.by_id[task].client == OTHER


@pytest.mark.parametrize("stranger", [hello(key=b"x" * 32), hello(key=None), hello("d")])
def test_a_client_that_does_not_is_refused_and_counted(stranger: m.ClientHello) -> None:
    world = RestartingWorld()
    task = world.submit()
    world.crash()
    assert answers(world, stranger) == [m.Refused("another client has this number")]
    assert world.core.state.strange == 1
    assert world.core.state.tasks.by_id[task].client != OTHER


def test_a_client_that_said_it_would_not_come_back_cannot_be_impersonated() -> None:
    world = RestartingWorld()
    world.step(world.core.handle(PeerKey("second"), m.ClientHello(ClientId("d"), HostId("here"), "3.11"), 0.0))
    world.crash()
    assert answers(world, hello("d", None, 1)) == [m.Refused("another client has this number")]


def test_a_client_that_is_connected_cannot_be_taken_over() -> None:
    world = RestartingWorld()
    assert answers(world, hello()) == [m.Refused("this client is connected already")]


def test_a_client_whose_hello_was_not_written_down_keeps_its_number_and_no_newer_one_gets_it() -> None:
    world = RestartingWorld()
    world.commit()
    world.crash()
    (newcomer,) = answers(world, m.ClientHello(ClientId("new"), HostId("here"), "3.11"))
    world.step(world.core.handle(PeerKey("unwritten"), hello("u", KEY, 1), world.now))
    assert isinstance(newcomer, m.ClientWelcome) and newcomer.client_index > 1
    assert world.core.state.clients[PeerKey("unwritten")].index == 1


def test_a_client_that_was_given_up_is_told_so() -> None:
    world = RestartingWorld()
    world.say(m.ClientBye())
    (refusal,) = answers(world, hello())
    assert isinstance(refusal, m.Refused) and "given up" in refusal.message
