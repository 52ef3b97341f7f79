"""What a member of the run may get wrong: it is refused and counted, and the good peer is still served."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.transfer.nodes import CHUNK, DATA, RUN_SECRET, Neighbour, Net, Peer, open_net, until, worker
from vine import config
from vine.content.manifest import object_id
from vine.names import ObjectId, TransferId
from vine.transfer import node as transfer_node
from vine.transfer import tokens
from vine.transfer.events import Fetched, FetchFailed
from vine.wire.codec import encode_one
from vine.wire.data import Chunk, Want
from vine.wire.parts import FetchFault, Role
from vine.wire.worker_messages import FetchObject

pytestmark = pytest.mark.live

NOBODY = "tcp://127.0.0.1:9"  # the discard service, which nobody runs
STRANGE = TransferId(7, 7)


@pytest.fixture
def holder(net: Net, tmp_path: Path) -> Peer:
    """A node that has DATA, and is told what no node would say."""
    holder = worker(net, tmp_path, "holder")
    holder.objects.put(DATA)
    return holder


@pytest.fixture
def asking(net: Net, holder: Peer) -> Iterator[Neighbour]:
    neighbour = Neighbour(net, holder.node, holder.node.requests_endpoint)
    yield neighbour
    neighbour.socket.close()


def what(holder: Peer) -> tuple[ObjectId, object]:
    [one] = holder.objects.manifests.items()
    return one


def want(holder: Peer, key: ObjectId, *chunks: int, token: bytes | None = None) -> Want:
    valid = tokens.mint(tokens.source_key(RUN_SECRET, holder.id), STRANGE, key, NOBODY)
    return Want(STRANGE, key, token or valid, NOBODY, Role.WORKER, chunks)


def still_serves(net: Net, holder: Peer, folder: Path) -> None:
    wanter = worker(net, folder, "good")
    wanter.node.fetch(net.order(what(holder), wanter, holder))
    assert isinstance(wanter.event(), Fetched)
    assert wanter.objects.store.path(what(holder)[0]).read_bytes() == DATA


# --- said to a source ---


def test_a_want_for_an_object_that_is_not_there(
    net: Net, holder: Peer, asking: Neighbour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "edge_silence_s", 0.1)  # for so long it may be on its way here
    asking.say(encode_one(want(holder, ObjectId("0" * 64), 0)))
    until(lambda: holder.node.stats().refused == 1)
    assert holder.node.stats().flows_out_max == 0
    monkeypatch.undo()
    still_serves(net, holder, tmp_path)


def test_a_want_for_a_billion_chunks(net: Net, holder: Peer, asking: Neighbour, tmp_path: Path) -> None:
    key, _ = what(holder)
    fields = msgspec.msgpack.decode(encode_one(want(holder, key, 0)))
    fields[6] = [10**9]
    asking.say(msgspec.msgpack.encode(fields))
    fields[6] = list(range(config.credit_chunks_max + 1))
    asking.say(msgspec.msgpack.encode(fields))
    # A list that says that it has 10^9 entries and does not: nothing is allocated for it.
    head, _, tail = encode_one(want(holder, key, 7)).partition(b"\x91\x07")
    asking.say(head + b"\xdd" + (10**9).to_bytes(4, "big") + b"\x07" + tail)
    until(lambda: holder.node.stats().malformed == 3)
    for _ in range(100):
        asking.say(encode_one(want(holder, key, *range(1000, 1000 + config.credit_chunks_max))))
    until(lambda: holder.node.stats().excessive == 100 * config.credit_chunks_max)
    assert holder.node.stats().sent_bytes == 0
    still_serves(net, holder, tmp_path)


def test_a_want_without_authority(net: Net, holder: Peer, asking: Neighbour, tmp_path: Path) -> None:
    key, _ = what(holder)
    asking.say(encode_one(want(holder, key, 0, token=b"x" * 16)))
    # Another transfer's token is none of this one.
    asking.say(encode_one(msgspec.structs.replace(want(holder, key, 0), transfer_id=TransferId(7, 8))))
    until(lambda: holder.node.stats().unauthorised == 2)
    assert holder.node.stats().flows_out_max == 0
    still_serves(net, holder, tmp_path)


# --- said to a receiver ---


@pytest.fixture
def wanter(net: Net, source: Peer, tmp_path: Path) -> Iterator[tuple[Peer, FetchObject]]:
    """A node that fetches DATA from a source that gives out nothing yet, and its order."""
    wanter = worker(net, tmp_path, "wanter")
    source.objects.held_back = True
    order = net.order(source.objects.put(DATA), wanter, source)
    wanter.node.fetch(order)
    until(lambda: source.node.stats().flows_out == 1)
    return wanter, order


@contextmanager
def neighbour_of(net: Net, wanter: Peer) -> Iterator[Neighbour]:
    neighbour = Neighbour(net, wanter.node, wanter.node.chunks_endpoint)
    try:
        yield neighbour
    finally:
        neighbour.socket.close()


def comes_to_a_good_end(source: Peer, wanter: Peer, order: FetchObject) -> None:
    source.objects.allowed.release(1000)
    event = wanter.event()
    assert isinstance(event, Fetched), event
    assert wanter.objects.store.path(order.object_id).read_bytes() == DATA
    assert not wanter.objects.store.altered(order.object_id)


def test_a_chunk_with_a_wrong_hash(net: Net, source: Peer, wanter: tuple[Peer, FetchObject]) -> None:
    node, order = wanter
    with neighbour_of(net, node) as neighbour:
        neighbour.say(encode_one(Chunk(order.transfer_id, 0, None)), b"x" * CHUNK)
        until(lambda: node.node.stats().bad_chunks == 1)
    comes_to_a_good_end(source, node, order)


def test_chunks_that_are_too_short_or_too_long(net: Net, source: Peer, wanter: tuple[Peer, FetchObject]) -> None:
    node, order = wanter
    with neighbour_of(net, node) as neighbour:
        neighbour.say(encode_one(Chunk(order.transfer_id, 0, None)), DATA[: CHUNK - 1])
        until(lambda: node.node.stats().bad_chunks == 1)
        neighbour.say(encode_one(Chunk(order.transfer_id, 1, None)), DATA[CHUNK : 2 * CHUNK + 1])
        until(lambda: node.node.stats().bad_chunks == 2)
    event = node.event()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.BAD_CHUNKS
    node.node.fetch(net.order(source.objects.put(DATA), node, source))
    comes_to_a_good_end(source, node, order)


def test_chunks_beyond_the_end_of_edges_that_there_are_not_and_for_the_second_time(
    net: Net, source: Peer, wanter: tuple[Peer, FetchObject]
) -> None:
    node, order = wanter
    with neighbour_of(net, node) as neighbour:
        first = DATA[:CHUNK]
        neighbour.say(encode_one(Chunk(order.transfer_id, 20, None)), first)
        neighbour.say(encode_one(Chunk(order.transfer_id, config.chunks_per_object_max - 1, None)), first)
        neighbour.say(encode_one(Chunk(order.transfer_id, 0, None, edge=1)), first)
        neighbour.say(encode_one(Chunk(order.transfer_id, 0, None)), first)
        neighbour.say(encode_one(Chunk(order.transfer_id, 0, None)), first)
        until(lambda: node.node.stats().stray == 4)
    assert node.node.stats().received_bytes == CHUNK
    comes_to_a_good_end(source, node, order)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: msgspec.structs.replace(manifest, size=manifest.size + CHUNK),
        lambda manifest: msgspec.structs.replace(manifest, size=manifest.size * 100),
        lambda manifest: msgspec.structs.replace(manifest, hashes=manifest.hashes[:-32]),
        lambda manifest: msgspec.structs.replace(manifest, chunk_bytes=manifest.chunk_bytes * 2),
        lambda manifest: msgspec.structs.replace(manifest, size=1 << 62),
    ],
)
@pytest.mark.parametrize("named", ["by the right name", "by its own name"])
def test_a_manifest_whose_sizes_disagree(change: Callable, named: str, net: Net, source: Peer, tmp_path: Path) -> None:
    node = worker(net, tmp_path, "wanter")
    key, manifest = source.objects.put(DATA)
    wrong = change(manifest)
    order = net.order((key if named == "by the right name" else object_id(wrong), wrong), node, source)
    node.node.fetch(order)
    event = node.event()
    assert isinstance(event, FetchFailed) and event.fault in (FetchFault.SOURCE_REFUSED, FetchFault.DISK_FULL)
    assert os.listdir(tmp_path / "wanter" / "partial") == []
    order = net.order((key, manifest), node, source)
    node.node.fetch(order)
    comes_to_a_good_end(source, node, order)


# --- bytes that change where nobody says so ---


def test_one_bit_that_flips_on_a_sources_disk_is_found_and_its_holder_blamed(net: Net, tmp_path: Path) -> None:
    # given two holders, one of whose copies has changed by a bit
    bad, good, node = (worker(net, tmp_path, name) for name in ("bad", "good", "wanter"))
    one = bad.objects.put(DATA)
    good.objects.put(DATA)
    copy = bad.objects.store.path(one[0])
    copy.chmod(0o600)
    with copy.open("r+b") as file:
        file.seek(7 * CHUNK)
        file.write(bytes([DATA[7 * CHUNK] ^ 1]))
    # when it is fetched
    node.node.fetch(net.order(one, node, bad))
    event = node.event()
    # then it comes to nothing, by the fault of that holder, and nobody can read what has come
    assert isinstance(event, FetchFailed)
    assert (event.fault, event.source) == (FetchFault.BAD_CHUNKS, bad.id)
    assert not node.objects.store.has(one[0])
    # and the other one need only send the rest
    node.node.fetch(net.order(one, node, good))
    event = node.event()
    assert isinstance(event, Fetched) and event.received_bytes < len(DATA)
    assert node.objects.store.path(one[0]).read_bytes() == DATA


class Relay:
    """Passes on what is sent to a node, but for one bit."""

    def __init__(self, endpoint: str, flip_at: int) -> None:
        self._to = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        self._flip_at = flip_at
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.flipped = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        there, _ = self._listener.accept()
        here = socket.create_connection(self._to)
        threading.Thread(target=self._back, args=(here, there), daemon=True).start()
        passed = 0
        while data := bytearray(there.recv(1 << 16)):
            if passed <= self._flip_at < passed + len(data):
                data[self._flip_at - passed] ^= 1
                self.flipped = True
            passed += len(data)
            here.sendall(data)
        here.close()

    @staticmethod
    def _back(here: socket.socket, there: socket.socket) -> None:
        while data := here.recv(1 << 16):
            there.sendall(data)


def test_one_bit_that_flips_on_the_wire_is_found_and_the_chunk_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a connection without encryption, on which a bit of the second chunk flips
    with open_net(tmp_path / "run", curve=False) as net:
        holder, node = worker(net, tmp_path, "holder"), worker(net, tmp_path, "wanter")
        one = holder.objects.put(DATA)
        relay = Relay(node.node.chunks_endpoint, flip_at=CHUNK * 3 // 2)
        connect = transfer_node.connect_push

        def by_the_relay(context: object, own: object, public: object, endpoint: str, curve: bool) -> object:
            there = relay.endpoint if endpoint == node.node.chunks_endpoint else endpoint
            return connect(context, own, public, there, curve)

        monkeypatch.setattr(transfer_node, "connect_push", by_the_relay)
        # when the object is fetched
        node.node.fetch(net.order(one, node, holder))
        event = node.event()
        # then the chunk has come twice, and what is kept is right
        assert relay.flipped and isinstance(event, Fetched)
        assert node.node.stats().bad_chunks == 1
        assert event.received_bytes == len(DATA) + CHUNK
        assert node.objects.store.path(one[0]).read_bytes() == DATA
