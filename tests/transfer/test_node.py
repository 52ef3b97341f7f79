from __future__ import annotations

from pathlib import Path

import pytest

from tests.transfer.nodes import DATA, Neighbour, Net, Peer, until, worker
from vine import config
from vine.names import ObjectId, TransferId
from vine.transfer import tokens
from vine.transfer.events import Fetched, FetchFailed, NodeFailed
from vine.wire.codec import encode_one
from vine.wire.data import Chunk, EndOfWants, RefusalReason, Want, WantRefused
from vine.wire.parts import FetchFault, Role

pytestmark = pytest.mark.live

NOBODY = "tcp://127.0.0.1:9"  # the discard service, which nobody runs


def test_what_is_no_message_is_counted_and_the_good_peer_is_still_served(
    net: Net, source: Peer, tmp_path: Path
) -> None:
    first, second = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    what = first.objects.put(DATA)
    want = encode_one(Want(TransferId(1, 1), what[0], b"t" * 16, NOBODY, Role.WORKER, (0,)))
    end = encode_one(EndOfWants(TransferId(1, 1), b"t" * 16))
    neighbour = Neighbour(net, first.node, first.node.requests_endpoint)
    bad = [
        (b"",),
        (b"\xc1",),
        (b"\x91\xa4nope",),
        (b"\xdd\xff\xff\xff\xff",),
        (want, b""),
        (end, b"", b""),
        (want[:-1],),
    ]
    bad += [(b"\x91" * 10_000,), tuple([b""] * 1000)]
    for frames in bad:
        neighbour.say(*frames)
    until(lambda: first.node.stats().malformed == len(bad))
    listener = Neighbour(net, second.node, second.node.chunks_endpoint)
    chunk = encode_one(Chunk(TransferId(1, 1), 0, 1))
    bad_chunks = [(chunk,), (chunk, b"a", b"b"), (b"", b"x"), (want,)]
    for frames in bad_chunks:
        listener.say(*frames)
    until(lambda: second.node.stats().malformed == len(bad_chunks))
    second.node.fetch(net.order(what, second, first))
    assert isinstance(second.event(), Fetched)
    neighbour.socket.close()
    listener.socket.close()


def test_chunks_and_refusals_of_no_transfer_are_ignored(net: Net, tmp_path: Path) -> None:
    peer = worker(net, tmp_path, "w1")
    neighbour = Neighbour(net, peer.node, peer.node.chunks_endpoint)
    neighbour.say(encode_one(WantRefused(TransferId(9, 9), 0, RefusalReason.UNKNOWN)))
    neighbour.say(encode_one(Chunk(TransferId(9, 9), 0, 1)), b"bytes")
    until(lambda: peer.node.stats().stray == 1)
    assert peer.events.empty()
    neighbour.socket.close()


def test_a_want_of_a_role_that_has_no_node_is_not_answered(net: Net, tmp_path: Path) -> None:
    peer = worker(net, tmp_path, "w1", transfers_max=1)
    what = peer.objects.put(DATA)
    key = tokens.source_key(b"r" * 32, peer.id)
    token = tokens.mint(key, TransferId(1, 1), what[0], NOBODY)
    neighbour = Neighbour(net, peer.node, peer.node.requests_endpoint)
    neighbour.say(encode_one(Want(TransferId(1, 1), what[0], token, NOBODY, Role.CLIENT, (0,))))
    until(lambda: peer.node.stats().flows_out_max == 1)
    until(lambda: peer.node.stats().flows_out == 0)
    assert peer.node.stats().sent_bytes == 0
    neighbour.socket.close()


def test_a_source_that_is_not_there_is_gone(
    net: Net, source: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "edge_silence_s", 0.2)
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)
    order = net.order(what, wanter, source)
    source.node.close()
    wanter.node.fetch(order)
    event = wanter.event()
    assert isinstance(event, FetchFailed)
    assert (event.fault, event.source) == (FetchFault.SOURCE_GONE, source.id)


def test_a_node_without_its_key_takes_every_want_for_a_strangers(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)
    key = tokens.source_key(b"r" * 32, source.id)
    source.node.set_source_key(b"another key, which is too long...")
    order = net.order(what, wanter, source)
    wanter.node.fetch(order)
    until(lambda: source.node.stats().unauthorised == 1)
    source.node.set_source_key(key)
    wanter.node.abandon(order.transfer_id)
    assert isinstance(wanter.event(), FetchFailed)
    wanter.node.fetch(net.order(what, wanter, source))
    assert isinstance(wanter.event(), Fetched)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_ends_the_node_and_is_told(net: Net, tmp_path: Path) -> None:
    peer = worker(net, tmp_path, "w1")

    def mistaken(key: ObjectId) -> int:
        raise ZeroDivisionError("our mistake")

    peer.objects.chunk_count = mistaken
    peer.node.object_complete(ObjectId("a" * 64))
    event = peer.event()
    assert isinstance(event, NodeFailed) and "our mistake" in event.message


def test_a_node_that_closes_frees_its_slots_at_its_sources(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source))
    until(lambda: source.node.stats().flows_out == 1)
    wanter.node.close()
    until(lambda: source.node.stats().flows_out == 0)
    event = wanter.event()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.ABANDONED


def test_a_node_may_be_closed_twice_and_told_things_afterwards(net: Net, tmp_path: Path) -> None:
    peer = worker(net, tmp_path, "w1")
    peer.node.close()
    peer.node.forget(ObjectId("a" * 64))
    peer.node.close()
