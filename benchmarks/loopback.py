"""How fast does one node get an object from another on this machine, hashed and on disk, and where does the CPU go?

Both are true nodes with a true store, each in a process of its own, as workers are.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vine import config
from vine.content.store import Store
from vine.names import ObjectId, RunId, TransferId, WorkerId
from vine.transfer import tokens
from vine.transfer.events import Fetched, NodeEvent
from vine.transfer.node import TransferNode
from vine.transfer.objects import Buffer, PartialObject
from vine.wire.keys import load_connection, new_run_keys, write_run_files
from vine.wire.parts import Manifest, Role, SourceEdge
from vine.wire.sockets import Gate, make_context
from vine.wire.worker_messages import FetchObject
from vine_worker.holdings import Holdings

_SOURCE = WorkerId("source")
_RUN_SECRET = b"loopback" * 4
_BLOCK = 1 << 20
_LIMIT_S = 300.0  # A transfer that takes longer is lost.


@dataclass(frozen=True, slots=True)
class Transfer:
    """One object from one node to another."""

    size_bytes: int
    seconds: float  # from the order until the object is committed
    cpu_s: Mapping[str, float]  # by what it was spent on, in both processes

    @property
    def gb_per_s(self) -> float:
        return self.size_bytes / self.seconds / 1e9


def transfer(size_bytes: int, encryption: bool) -> Transfer:
    """Let a node pull an object of so many random bytes from another, on loopback."""
    with tempfile.TemporaryDirectory(prefix="vine-loopback-") as name:
        folder = Path(name)
        run_dir = folder / "run"
        write_run_files(new_run_keys(), run_dir, RunId("loopback"), "tcp://127.0.0.1:9")
        command = [sys.executable, "-m", "benchmarks.loopback", str(folder), str(size_bytes), str(int(encryption))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as source:
            assert source.stdin is not None and source.stdout is not None
            offer = msgspec.json.decode(source.stdout.readline(), type=_Offer)
            seconds, cpu_s = _pull(folder, offer, encryption)
            source.stdin.close()
            of_source: dict[str, float] = json.loads(source.stdout.readline())
    return Transfer(size_bytes, seconds, cpu_s | of_source)


class _Offer(msgspec.Struct):
    """What the source tells of itself, in a line."""

    requests_endpoint: str
    object_id: str
    manifest: Manifest


def _holdings(root: Path) -> Holdings:
    """An empty store as a worker's node uses it."""
    root.mkdir()
    store = Store(root)
    store.call_harmless()  # As in a worker whose tasks see the store read-only.
    return Holdings(store)


class _Timed:
    """A partial object, and how long each thread has written."""

    def __init__(self, partial: PartialObject, writing_s: defaultdict[int, float]) -> None:
        self._partial = partial
        self._writing_s = writing_s
        self.read, self.commit, self.discard = partial.read, partial.commit, partial.discard

    @property
    def present(self) -> frozenset[int]:
        return frozenset(self._partial.present)

    def write(self, index: int, data: Buffer) -> None:
        start_s = time.thread_time()
        self._partial.write(index, data)
        self._writing_s[threading.get_native_id()] += time.thread_time() - start_s


# --- the receiving end ---------------------------------------------------------------------------


def _pull(folder: Path, offer: _Offer, encryption: bool) -> tuple[float, dict[str, float]]:
    objects = _holdings(folder / "receiver")
    writing_s: defaultdict[int, float] = defaultdict(float)  # by thread

    def begin(key: ObjectId, manifest: Manifest) -> PartialObject:
        return _Timed(objects.begin(key, manifest), writing_s)

    events: queue.Queue[NodeEvent] = queue.Queue()
    with ExitStack() as closing:
        node = _node(closing, folder, objects, None, events, encryption)
        key, transfer_id = ObjectId(offer.object_id), TransferId(1, 1)
        source_key = tokens.source_key(_RUN_SECRET, _SOURCE)
        token = tokens.mint(source_key, transfer_id, key, node.chunks_endpoint)
        edge = SourceEdge(_SOURCE, Role.WORKER, offer.requests_endpoint, token)
        before, start_s = _cpu_by_thread(), time.perf_counter()
        node.fetch(FetchObject(transfer_id, key, offer.manifest, (edge,)), begin)
        event = events.get(timeout=_LIMIT_S)
        seconds = time.perf_counter() - start_s
        assert isinstance(event, Fetched), event
        spent = _since(before)
        written_s = sum(writing_s.values())
    return seconds, {
        "receiver: zmq io": spent["io"],
        "receiver: socket thread": spent["vine-transfer"],
        "receiver: hash": spent["vine-store"] - written_s,
        "receiver: write": written_s,
    }


# --- the sending end -----------------------------------------------------------------------------


def _serve(folder: Path, size_bytes: int, encryption: bool) -> None:
    """Offer an object until stdin is closed."""
    objects = _holdings(folder / "source")
    made = folder / "made"
    with made.open("wb") as file:
        block = os.urandom(_BLOCK)
        for at in range(0, size_bytes, _BLOCK):
            file.write(block[: size_bytes - at])
    key, manifest = objects.adopt(made)
    with ExitStack() as closing:
        source_key = tokens.source_key(_RUN_SECRET, _SOURCE)
        node = _node(closing, folder, objects, source_key, queue.Queue(), encryption)
        before = _cpu_by_thread()
        print(msgspec.json.encode(_Offer(node.requests_endpoint, key, manifest)).decode(), flush=True)
        sys.stdin.read()
        spent = _since(before)
    figures = {"zmq io": spent["io"], "socket thread": spent["vine-transfer"], "read": spent["vine-read"]}
    print(json.dumps({f"source: {name}": seconds for name, seconds in figures.items()}))


def _node(
    closing: ExitStack,
    folder: Path,
    objects: Holdings,
    source_key: bytes | None,
    events: queue.Queue[NodeEvent],
    encryption: bool,
) -> TransferNode:
    connection = load_connection(folder / "run", Role.WORKER)
    context = make_context(config.data_io_threads)
    closing.callback(context.term)
    closing.callback(Gate(context, connection).close)
    node = TransferNode(
        context, connection, Role.WORKER, "127.0.0.1", source_key, objects, events.put, curve=encryption
    )
    closing.callback(node.close)
    return node


def _cpu_by_thread() -> defaultdict[str, float]:
    """Seconds of CPU of this process's threads, by the beginning of their names; "io" are those of ZeroMQ."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent: defaultdict[str, float] = defaultdict(float)
    for task in Path("/proc/self/task").iterdir():
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        name = names.get(int(task.name), "io")
        spent[name.rpartition("_")[0] or name] += nanoseconds / 1e9  # Threads of a pool are numbered.
    return spent


def _since(before: Mapping[str, float]) -> defaultdict[str, float]:
    spent = _cpu_by_thread()
    for name, seconds in before.items():
        spent[name] -= seconds
    return spent


def main(arguments: Sequence[str]) -> int:
    """The sending end's process; `transfer` starts it."""
    folder, size_bytes, encryption = arguments
    _serve(Path(folder), int(size_bytes), bool(int(encryption)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
