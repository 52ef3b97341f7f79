"""Messages survive their encoding; what is no message is named and refused, at no great cost."""

from __future__ import annotations

from collections import Counter

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine import config
from vine.errors import MalformedMessage
from vine.names import AttemptId, ClientId, FileId, HostId, ObjectId, TaskId, TransferId
from vine.wire.codec import Decoder, Inbox, Outbox, count_malformed, encode, encode_one
from vine.wire.data import Chunk, ToReceiver, ToSource, Want
from vine.wire.messages import ClientBye, ClientHello, FromClient, SubmitTasks
from vine.wire.parts import AttemptResult, Outcome, Role, TaskKind, TaskSpec
from vine.wire.worker_messages import AttemptsEnded, FromWorker, ObjectsHeld, WorkerBye

SPEC = TaskSpec(task_id=TaskId(1), kind=TaskKind.CALL, function=FileId(7), payload=b"P\x00\xff", variables={"A": "b"})
BATCHES = [
    (FromClient, (ClientHello(ClientId("c"), HostId("h"), "3.11"), SubmitTasks((SPEC, SPEC)), ClientBye())),
    (FromWorker, (AttemptsEnded((AttemptResult(AttemptId(1, 2), Outcome.SUCCESS, value=b"P"),)), WorkerBye("done"))),
]


@pytest.mark.parametrize(("union", "messages"), BATCHES)
def test_what_is_encoded_comes_back_equal(union: object, messages: tuple[object, ...]) -> None:
    data = encode(messages)  # type: ignore[arg-type]
    assert Decoder(union).decode(data) == messages
    assert Decoder(union).decode(memoryview(data)) == messages


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_a_batch_of_any_length_is_one_msgpack_array(count: int) -> None:
    messages = [ClientBye()] * count
    data = encode(messages)
    assert len(msgpack.unpackb(data, max_array_len=1 << 20)) == count
    assert Decoder(FromClient).decode(data) == tuple(messages)


def test_a_message_alone_comes_back_equal() -> None:
    want = Want(TransferId(1, 2), ObjectId("a" * 64), b"t" * 16, "tcp://127.0.0.1:1", Role.WORKER, (0, 1, 2))
    assert Decoder(ToSource).decode_one(encode_one(want)) == want


def _raw(*message: object) -> bytes:
    return msgpack.packb([list(message)])


BAD = {
    "nothing": (b"", "truncated"),
    "cut short": (encode([ClientBye(), SubmitTasks((SPEC,))])[:-3], "truncated"),
    "bytes behind it": (encode([ClientBye()]) + b"\xc0", "trailing"),
    "a map": (msgpack.packb({"client-bye": 1}), "Expected `array`"),
    "no kind": (msgpack.packb([[]]), "message: .* at least length 1"),
    "a kind of another direction": (encode([WorkerBye("x")]), "unknown kind 'worker-bye'"),
    "an unknown kind": (_raw("fly", 1), "unknown kind 'fly'"),
    "a wrong type": (_raw("client-hello", "c", 5, "3.11"), "client-hello: Expected `str`, got `int` - at `host_id`"),
    "a wrong type deep inside": (_raw("submit-tasks", [[1, "command", 5]]), r"submit-tasks: .* `tasks\[0\]\[2\]`"),
    "an unknown enum": (_raw("submit-tasks", [[1, "dance"]]), "Invalid enum value 'dance'"),
    "a name too long": (_raw("client-hello", "c", "h", "x" * 256), "length <= 255"),
    "text that is none": (b"\x91\x94\xacclient-hello\xa2\xff\xfe\xa1a\xa1a", "utf-8"),
    "arrays 4 million deep": (b"\x91" * 4_000_000 + b"\xc0", "batch"),
    "depth in a field that is not read": (b"\x91\x93\xaaclient-bye" + b"\x91" * 4_000_000 + b"\xc0\xc0", "recursion"),
    "maps in a field that is not read": (
        b"\x91\x93\xaaclient-bye" + b"\x81\x01" * 2_000_000 + b"\xc0\xc0",
        "recursion",
    ),
    "an array of 2^32-1": (b"\xdd\xff\xff\xff\xff", "truncated"),
    "an array of 2^32-1 inside": (b"\x91\x92\xacsubmit-tasks\xdd\xff\xff\xff\xff", "truncated"),
    "bytes of 4 GiB": (b"\x91\x92\xacsubmit-tasks\xc6\xff\xff\xff\xff", "truncated"),
    "an extension of 4 GiB": (b"\x91\x92\xacsubmit-tasks\xc9\xff\xff\xff\xff\x01", "truncated"),
    "a map whose keys are no text": (
        _raw("submit-tasks", [[1, "call", "", None, b"", None, [], [], [], {1: "b"}]]),
        "str",
    ),
    "resources that are no number": (
        _raw("submit-tasks", [[1, "call", "", None, b"", None, [], [], [], {}, None, [float("nan")]]]),
        "submit-tasks",
    ),
    "resources below nothing": (
        _raw("submit-tasks", [[1, "call", "", None, b"", None, [], [], [], {}, None, [-1.0]]]),
        ">= 0",
    ),
}


@pytest.mark.parametrize(("data", "reason"), BAD.values(), ids=BAD.keys())
def test_what_is_no_message_is_refused_with_its_kind_and_field(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        Decoder(FromClient).decode(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    for decode in (Decoder(FromWorker).decode, Decoder(ToReceiver).decode_one):
        try:
            decode(data)
        except MalformedMessage:
            continue


@given(st.data())
def test_a_damaged_message_is_refused_or_is_another_message(data: st.DataObject) -> None:
    good = bytearray(encode([SubmitTasks((SPEC,)), ClientBye()]))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert all(isinstance(message, FromClient) for message in Decoder(FromClient).decode(bytes(good)))
    except MalformedMessage:
        return


def test_a_chunk_index_beyond_any_object_is_refused() -> None:
    data = msgspec.msgpack.encode(Chunk(TransferId(1, 1), config.chunks_per_object_max, 0))
    with pytest.raises(MalformedMessage, match="chunk"):
        Decoder(ToReceiver).decode_one(data)


# --- batches -------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3 * config.batch_bytes_target), max_size=6))
def test_messages_of_any_size_pass_through_outbox_and_inbox(sizes: list[int]) -> None:
    messages = [ObjectsHeld((ObjectId("a" * 64),) * (size // 66)) for size in sizes]
    outbox, inbox = Outbox(), Inbox()
    for message in messages:
        outbox.add(encode_one(message))
    payloads = outbox.take()
    assert all(len(payload) <= 2 * config.batch_bytes_target + 5 for payload, _ in payloads)
    wholes = [inbox.add(payload, more) for payload, more in payloads]
    received = [message for whole in wholes if whole is not None for message in Decoder(FromWorker).decode(whole)]
    assert received == messages
    assert outbox.take() == []


def test_small_messages_share_a_payload() -> None:
    outbox = Outbox()
    for _ in range(100):
        outbox.add(encode_one(ClientBye()))
    assert [more for _, more in outbox.take()] == [False]


def test_a_message_without_end_is_dropped_and_the_next_one_is_taken() -> None:
    inbox = Inbox()
    part = bytes(config.message_bytes_max // 4)
    for _ in range(6):
        assert inbox.add(part, True) is None
    assert sum(map(len, inbox._parts)) <= config.message_bytes_max
    with pytest.raises(MalformedMessage, match="more than"):
        inbox.add(b"", False)
    assert inbox.add(b"next", False) == b"next"


def test_the_counts_of_dropped_messages_do_not_grow_with_what_peers_say() -> None:
    counts: Counter[str] = Counter()
    for number in range(10 * config.malformed_kinds_max):
        count_malformed(counts, MalformedMessage(f"unknown kind '{number}'" + "x" * 10_000))
    assert len(counts) == config.malformed_kinds_max + 1
    assert sum(counts.values()) == 10 * config.malformed_kinds_max
    assert max(map(len, counts)) <= config.name_chars_max
