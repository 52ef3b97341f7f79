"""No bytes on a socket end who reads them: they are a message, or are refused and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.foes.hostile import bytes_like, deep, packed, values
from tests.strategies import instances
from vine.errors import MalformedMessage
from vine.wire import data, messages, worker_messages
from vine.wire.codec import Decoder, encode, encode_one
from vine.wire.session import Header, Session, Verdict, pack_header, unpack_header

UNIONS = {
    "from a client": messages.FromClient,
    "to a client": messages.ToClient,
    "from a worker": worker_messages.FromWorker,
    "to a worker": worker_messages.ToWorker,
    "from a factory": messages.FromFactory,
    "to a factory": messages.ToFactory,
    "to a source": data.ToSource,
    "to a receiver": data.ToReceiver,
}
every_union = pytest.mark.parametrize("union", UNIONS.values(), ids=UNIONS.keys())


def _said(union: Any) -> st.SearchStrategy[bytes]:
    """Batches: good, damaged, of good kinds with wrong fields, and of no kind."""
    good = st.lists(instances(union), min_size=1, max_size=2).map(encode)
    tags = st.sampled_from([kind.__struct_config__.tag for kind in union.__args__])
    wrong = st.builds(lambda tag, fields: bytes(msgpack.packb([[tag, *fields]])), tags, st.lists(values, max_size=6))
    return bytes_like(good) | wrong | packed


def _is_whole_or_refused(said: bytes, decode: Callable[[bytes], Any], encode_again: Callable[[Any], bytes]) -> None:
    try:
        found = decode(said)
    except MalformedMessage as malformed:
        assert len(str(malformed)) < 1000, "what goes into the log is short"
        return
    assert decode(encode_again(found)) == found


@every_union
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_batch_is_messages_or_refused(union: Any, data: st.DataObject) -> None:
    _is_whole_or_refused(data.draw(_said(union)), Decoder(union).decode, encode)


@every_union
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_frame_of_a_data_socket_is_a_message_or_refused(union: Any, data: st.DataObject) -> None:
    said = data.draw(bytes_like(instances(union).map(encode_one)) | packed)
    _is_whole_or_refused(said, Decoder(union).decode_one, encode_one)


@every_union
@pytest.mark.parametrize("nest", [b"\x91", b"\x81\xa1a", b"\xdd\xff\xff\xff\xff"])
def test_what_is_too_deep_is_refused(union: Any, nest: bytes) -> None:
    for decode in (Decoder(union).decode, Decoder(union).decode_one):
        with pytest.raises(MalformedMessage):
            decode(deep(nest))


_ids = st.binary(min_size=16, max_size=16)
_counts = st.integers(0, 5) | st.integers(0, 2**63 - 1)
_headers = st.builds(Header, _ids, _counts, _counts, st.integers(0, 31))


@settings(deadline=None)
@given(bytes_like(_headers.map(pack_header)) | packed)
def test_a_header_is_one_or_refused(frame: bytes) -> None:
    try:
        assert unpack_header(pack_header(header := unpack_header(frame))) == header
    except MalformedMessage:
        return


@settings(deadline=None)
@given(st.lists(_headers, max_size=30), st.integers(0, 3))
def test_a_session_takes_any_headers_and_keeps_no_more_for_them(headers: list[Header], sent: int) -> None:
    # given a session that has sent something
    session = Session(b"s" * 16, 0.0)
    for number in range(sent):
        session.send(b"payload %d" % number)
    session.outgoing(0.0)
    kept_bytes = session.kept_bytes
    # when the other end says what it likes, with payloads that are the next ones or are not
    accepted = 0
    for now, header in enumerate(headers):
        accepted += session.receive(header, float(now)) is Verdict.ACCEPT
        assert len(session.outgoing(float(now))) <= sent + 1, "one header answers one header"
    # then it owes nothing more than before, and has accepted in order
    assert session.kept_bytes <= kept_bytes
    assert accepted <= sum(header.carries_payload for header in headers)
