"""Does every message of the data sockets say what it means, and arrive as it was sent?"""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import instances
from vine import config
from vine.names import ObjectId, TransferId
from vine.wire import data
from vine.wire.codec import Decoder, encode_one
from vine.wire.parts import Role

UNIONS = {"Receiver to source": data.ToSource, "Source to receiver": data.ToReceiver}


@pytest.mark.parametrize("direction", UNIONS)
@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_every_message_arrives_as_it_was_sent(direction: str, draw: st.DataObject) -> None:
    message = draw.draw(st.sampled_from(get_args(UNIONS[direction])).flatmap(instances))
    decoder: Decoder[Any] = Decoder(UNIONS[direction])
    assert decoder.decode_one(encode_one(message)) == message


@pytest.mark.parametrize("direction", UNIONS)
def test_every_message_says_from_whom_to_whom(direction: str) -> None:
    for kind in get_args(UNIONS[direction]):
        assert re.match(rf"{direction}: \w", kind.__doc__ or ""), f"{kind.__name__} should say {direction!r}"


def _want(chunks: tuple[int, ...]) -> list[Any]:
    want = data.Want(
        TransferId(1, 1), ObjectId("0" * 64), b"t" * 16, "tcp://127.0.0.1:1", Role.WORKER, tuple(range(len(chunks)))
    )
    builtins = msgspec.to_builtins(want, builtin_types=(bytes,))
    place = 1 + data.Want.__struct_fields__.index("chunks")  # behind the tag
    return [*builtins[:place], list(chunks), *builtins[place + 1 :]]


@pytest.mark.parametrize(
    "chunks",
    [(), tuple(range(config.credit_chunks_max + 1)), (-1,), (config.chunks_per_object_max,)],
    ids=["nothing", "more than the credit", "before the first", "after the last there can be"],
)
def test_a_want_beyond_the_limits_is_refused(chunks: tuple[int, ...]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(_want(chunks), data.ToSource)
    assert msgspec.convert(_want((0,)), data.ToSource)
