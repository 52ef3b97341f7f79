"""The messages of the control sockets keep to the house's form."""

from __future__ import annotations

import typing

import pytest

from vine.wire import messages
from vine.wire.messages import FromClient, FromFactory, FromWorker, Message, Refused, ToClient, ToFactory, ToWorker

UNIONS = {
    "from client": FromClient,
    "to client": ToClient,
    "from worker": FromWorker,
    "to worker": ToWorker,
    "from factory": FromFactory,
    "to factory": ToFactory,
}
KINDS = [kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, Message)]


def members(union: object) -> tuple[type[Message], ...]:
    return typing.get_args(union)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Message])
def test_a_message_is_a_frozen_array_with_a_tag_and_says_what_it_means(kind: type[Message]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.array_like
    assert isinstance(kind.__struct_config__.tag, str)
    assert " to " in (kind.__doc__ or "").partition(":")[0]


def test_every_message_has_a_direction_and_only_a_refusal_has_several() -> None:
    placed = [kind for union in UNIONS.values() for kind in members(union)]
    assert set(placed) == set(KINDS) - {Message}
    assert {kind for kind in placed if placed.count(kind) > 1} == {Refused}


def test_no_two_messages_share_a_tag() -> None:
    tags = [kind.__struct_config__.tag for kind in KINDS if kind is not Message]
    assert len(tags) == len(set(tags))


@pytest.mark.parametrize("union", [ToClient, ToWorker, ToFactory])
def test_everyone_can_be_refused(union: object) -> None:
    assert Refused in members(union)
