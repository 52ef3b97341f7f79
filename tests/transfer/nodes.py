"""Transfer nodes on loopback, and what they serve from."""

from __future__ import annotations

import os
import queue
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq
from msgspec.structs import replace

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import chunk_count, chunk_span, object_id
from vine.content.store import Store
from vine.names import ObjectId, RunId, TransferId, WorkerId
from vine.transfer import tokens
from vine.transfer.events import NodeEvent
from vine.transfer.node import TransferNode
from vine.transfer.objects import Buffer, PartialObject
from vine.wire.keys import Connection, RunKeys, load_connection, new_run_keys, write_run_files
from vine.wire.parts import Manifest, Role, SourceEdge
from vine.wire.sockets import Gate, connect_push, make_context
from vine.wire.worker_messages import FetchObject

KIB = 1 << 10
CHUNK = 256 * KIB
DATA = random.Random(1).randbytes(5000 * KIB + 17)  # 20 chunks, the last one short
RUN_SECRET = b"r" * 32
WAIT_S = 30.0  # Only a test that fails waits so long.


def until(condition: Callable[[], bool]) -> None:
    """Let the nodes' threads run until this holds."""
    give_up_at = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_at, "it has not come about"
        os.sched_yield()


class StoreObjects:
    """A worker's objects."""

    def __init__(self, root: Path, resume: bool = False) -> None:
        root.mkdir(exist_ok=resume)
        self.store = Store(root)
        self.manifests: dict[ObjectId, Manifest] = {}
        self.before_begin = threading.Event()
        self.before_begin.set()

    def put(self, data: bytes) -> tuple[ObjectId, Manifest]:
        manifest = manifest_of_bytes(data)
        key = object_id(manifest)
        self.store.put_bytes(key, data)
        self.manifests[key] = manifest
        return key, manifest

    def chunk_count(self, key: ObjectId) -> int:
        if not self.store.has(key):
            raise KeyError(key)
        return chunk_count(self.manifests[key])

    def read_chunk(self, key: ObjectId, index: int) -> Buffer:
        return self.store.read_chunk(key, self.manifests[key], index)

    def begin(self, key: ObjectId, manifest: Manifest) -> PartialObject:
        assert self.before_begin.wait(WAIT_S)
        self.manifests[key] = manifest
        return self.store.begin(key, manifest)


class BufferObjects:
    """Objects in memory, each chunk of which is given out only when the test has allowed it."""

    def __init__(self) -> None:
        self.data: dict[ObjectId, tuple[bytes, Manifest]] = {}
        self.error: Exception | None = None
        self.damage = False
        self.allowed = threading.Semaphore(0)
        self.held_back = False

    def put(self, data: bytes) -> tuple[ObjectId, Manifest]:
        manifest = manifest_of_bytes(data)
        self.data[object_id(manifest)] = data, manifest
        return object_id(manifest), manifest

    def chunk_count(self, key: ObjectId) -> int:
        return chunk_count(self.data[key][1])

    def read_chunk(self, key: ObjectId, index: int) -> Buffer:
        if self.error is not None:
            raise self.error
        if self.held_back:
            assert self.allowed.acquire(timeout=WAIT_S)
        data, manifest = self.data[key]
        offset, length = chunk_span(manifest, index)
        return b"x" * length if self.damage else data[offset : offset + length]

    def begin(self, key: ObjectId, manifest: Manifest) -> PartialObject:
        raise AssertionError("nothing is fetched into these")


class Peer:
    """A node, its events and its name."""

    def __init__(self, net: Net, name: str, objects: StoreObjects | BufferObjects, role: Role, **options: int) -> None:
        self.id = WorkerId(name)
        self.role = role
        self.objects = objects
        self.events: queue.Queue[NodeEvent] = queue.Queue()
        key = tokens.source_key(RUN_SECRET, self.id)
        self.node = TransferNode(
            net.context, net.keys[role], role, "127.0.0.1", key, objects, self.events.put,
            curve=net.curve, **options,
        )  # fmt: skip

    def event(self) -> NodeEvent:
        return self.events.get(timeout=WAIT_S)


class Net:
    """A run's keys, and the orders that its manager would give."""

    def __init__(self, context: zmq.Context, keys: dict[Role, RunKeys | Connection], curve: bool = True) -> None:
        self.context = context
        self.keys = keys
        self.curve = curve
        self.peers: list[Peer] = []
        self.transfers = 0

    def add(self, name: str, objects: StoreObjects | BufferObjects, role: Role = Role.WORKER, **options: int) -> Peer:
        self.peers.append(Peer(self, name, objects, role, **options))
        return self.peers[-1]

    def order(self, what: tuple[ObjectId, Manifest], wanter: Peer, *sources: Peer, forged: bool = False) -> FetchObject:
        order = self.order_to(what, wanter.node.chunks_endpoint, *sources)
        if not forged:
            return order
        edges = tuple(replace(edge, token=secrets.token_bytes(16)) for edge in order.sources)
        return replace(order, sources=edges)

    def order_to(self, what: tuple[ObjectId, Manifest], chunks_endpoint: str, *sources: Peer) -> FetchObject:
        self.transfers += 1
        transfer = TransferId(1, self.transfers)
        edges = tuple(self.edge(transfer, what[0], chunks_endpoint, source) for source in sources)
        return FetchObject(transfer, *what, edges)

    def edge(self, transfer: TransferId, key: ObjectId, chunks_endpoint: str, source: Peer) -> SourceEdge:
        """That this source may be asked for the object, in this transfer to the node there."""
        token = tokens.mint(tokens.source_key(RUN_SECRET, source.id), transfer, key, chunks_endpoint)
        return SourceEdge(source.id, source.role, source.node.requests_endpoint, token)

    def close(self) -> None:
        for peer in self.peers:
            if isinstance(peer.objects, BufferObjects):
                peer.objects.held_back = False
                peer.objects.allowed.release(10_000)
            peer.node.close()


class Neighbour:
    """A member of the run that says what no node would."""

    def __init__(self, net: Net, node: TransferNode, endpoint: str) -> None:
        keys = net.keys[Role.WORKER]
        self.node = node
        self.socket = connect_push(net.context, keys.own, keys.public(Role.WORKER), endpoint)

    def say(self, *frames: bytes) -> None:
        assert self.socket.poll(10_000, zmq.POLLOUT)
        self.socket.send_multipart(frames)


def worker(net: Net, folder: Path, name: str, **options: int) -> Peer:
    """A worker's node with a store of its own."""
    return net.add(name, StoreObjects(folder / name), **options)


@contextmanager
def open_net(run_dir: Path, curve: bool = True) -> Iterator[Net]:
    """A run's keys and sockets, closed in the end."""
    keys = new_run_keys()
    write_run_files(keys, run_dir, RunId("test"), "tcp://127.0.0.1:9")
    context = make_context()
    gate = Gate(context, keys)
    net = Net(context, {Role.SERVER: keys, Role.WORKER: load_connection(run_dir, Role.WORKER)}, curve)
    try:
        yield net
    finally:
        net.close()
        gate.close()
        context.term()
