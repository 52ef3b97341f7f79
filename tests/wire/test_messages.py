"""Does every control message say what it means, and arrive as it was sent?"""

from __future__ import annotations

import re
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.strategies import instances
from vine.errors import MalformedMessage
from vine.wire import messages, worker_messages
from vine.wire.codec import Decoder, encode_one
from vine.wire.worker_messages import FromWorker, ToWorker

UNIONS = {
    "Client to manager": messages.FromClient,
    "Manager to client": messages.ToClient,
    "Worker to manager": FromWorker,
    "Manager to worker": ToWorker,
    "Factory to manager": messages.FromFactory,
    "Manager to factory": messages.ToFactory,
}
DECODERS: dict[str, Decoder[Any]] = {direction: Decoder(union) for direction, union in UNIONS.items()}
ALL_KINDS = sorted({kind for union in UNIONS.values() for kind in get_args(union)}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("direction", UNIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_message_arrives_as_it_was_sent(direction: str, data: st.DataObject) -> None:
    message = data.draw(st.sampled_from(get_args(UNIONS[direction])).flatmap(instances))
    assert DECODERS[direction].decode_one(encode_one(message)) == message


@pytest.mark.parametrize("direction", UNIONS)
def test_every_message_says_from_whom_to_whom(direction: str) -> None:
    for kind in get_args(UNIONS[direction]):
        expected = "Manager to anyone" if kind is messages.Refused else direction
        assert re.match(rf"{expected}: \w", kind.__doc__ or ""), f"{kind.__name__} should say {expected!r}"


def test_no_two_messages_share_a_tag() -> None:
    tags = [kind.__struct_config__.tag for kind in ALL_KINDS]
    assert len(set(tags)) == len(tags)


def test_every_message_belongs_to_a_direction() -> None:
    rooms = (messages.__name__, worker_messages.__name__)
    declared = {kind for kind in messages.Message.__subclasses__() if kind.__module__ in rooms}
    assert declared == set(ALL_KINDS)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.__name__)
def test_messages_are_frozen_arrays_named_in_kebab_case(kind: Any) -> None:
    config = kind.__struct_config__
    assert config.frozen and config.array_like
    assert config.tag == re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (["factory-hello", "f", "local", -1, 4, [1, 1, 1, 0]], "min_workers"),
        (["factory-hello", "f", "local", 0, 4, ["many", 1, 1, 0]], r"capacity\[0\]"),
        (["factory-hello", "x" * 256, "local", 0, 4, [1, 1, 1, 0]], "factory_id"),
        (["no-such-message"], "no-such-message"),
    ],
)
def test_what_no_message_is_is_refused_with_the_path_to_the_field(message: list[Any], field: str) -> None:
    decoder: Decoder[Any] = Decoder(messages.FromFactory)
    with pytest.raises(MalformedMessage, match=field):
        decoder.decode_one(msgpack.packb(message))
