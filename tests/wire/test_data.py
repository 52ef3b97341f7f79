"""What transfer nodes may say to each other, and what is too much."""

from __future__ import annotations

import msgspec
import pytest

from vine import config
from vine.errors import MalformedMessage
from vine.names import ObjectId, TransferId
from vine.wire.codec import Decoder, encode_one
from vine.wire.data import Chunk, EndOfWants, RefusalReason, ToReceiver, ToSource, Want, WantRefused
from vine.wire.messages import Message, Role

TRANSFER = TransferId(1, 2)
WANT = Want(TRANSFER, ObjectId("a" * 64), b"t" * 16, "tcp://127.0.0.1:4711", Role.WORKER, (0, 1))


@pytest.mark.parametrize("message", [WANT, EndOfWants(TRANSFER, b"t" * 16)])
def test_what_a_receiver_says_comes_back_equal(message: Message) -> None:
    assert Decoder(ToSource).decode_one(encode_one(message)) == message


@pytest.mark.parametrize("message", [Chunk(TRANSFER, 3, 4), WantRefused(TRANSFER, RefusalReason.BUSY)])
def test_what_a_source_says_comes_back_equal(message: Message) -> None:
    assert Decoder(ToReceiver).decode_one(encode_one(message)) == message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("object_id", "../../etc/passwd"),
        ("object_id", "A" * 64),
        ("token", b""),
        ("token", b"t" * 33),
        ("reply_to", "ipc:///tmp/socket"),
        ("reply_to", "tcp://host:123456"),
        ("chunks", ()),
        ("chunks", tuple(range(config.credit_chunks_max + 1))),
        ("chunks", (-1,)),
        ("chunks", (config.chunks_per_object_max,)),
    ],
)
def test_a_want_beyond_its_limits_is_refused_by_name(field: str, value: object) -> None:
    bad = msgspec.structs.replace(WANT, **{field: value})
    with pytest.raises(MalformedMessage, match=rf"want: .* at `{field}"):
        Decoder(ToSource).decode_one(encode_one(bad))
