"""Is it harmless that a job of a receiving node is told to be done when all is over?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of, some_bytes
from benchmarks.simulator.edges import SimulatedEdges
from benchmarks.simulator.machine import Machine, Outcome, Speeds
from benchmarks.simulator.store import SimulatedPartial, SimulatedStore
from vine import config
from vine.content.manifest import object_id
from vine.errors import DiskFull
from vine.names import ObjectId, TransferId, WorkerId
from vine.transfer.events import FetchFailed, NodeEvent
from vine.transfer.jobs import Jobs
from vine.transfer.objects import Buffer
from vine.transfer.receiving import Receiving
from vine.transfer.sender import Sender
from vine.transfer.serving import Serving
from vine.wire.data import Chunk
from vine.wire.parts import Manifest, Role, SourceEdge
from vine.wire.worker_messages import FetchObject


class HeldJobs(Jobs):
    """Jobs that are done at once, which is told when the test says so."""

    def __init__(self) -> None:
        self.running = 0
        self.waiting: list[Callable[[], None]] = []

    def run(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        outcome = Outcome(job)
        self.waiting.append(lambda: done(outcome))

    def close(self) -> None:
        self.waiting.clear()


class FullStore(SimulatedStore):
    """A store whose disk is full as soon as there is something to be written."""

    def begin(self, object_id: ObjectId, manifest: Manifest, /) -> SimulatedPartial:
        partial = SimulatedPartial(self, object_id, manifest, kept=True)
        partial.write = full  # type: ignore[method-assign] # this one alone
        return partial


def full(index: int, data: Buffer, /) -> None:
    raise DiskFull("no space left on device")


def test_a_write_that_is_told_of_after_its_object_was_discarded_changes_nothing() -> None:
    # given an object of which two chunks are being written
    store, jobs, events = FullStore(Machine(Clock(), Speeds())), HeldJobs(), list[NodeEvent]()
    edges = SimulatedEdges(lambda endpoint: None)
    serving = Serving(Sender(3), store, lambda key: None, edges, jobs, lambda: 0.0)
    receiving = Receiving(store, serving, ("here", Role.WORKER), edges, jobs, events.append, lambda: 0.0, store.is_good)
    manifest = manifest_of("object", 2 * config.chunk_bytes_small)
    edge = SourceEdge(WorkerId("w"), Role.WORKER, "tcp://10.0.0.1:1", b"t" * 16)
    receiving.fetch(FetchObject(TransferId(1, 1), object_id(manifest), manifest, (edge,)), None)
    jobs.waiting.pop(0)()
    for index in range(2):
        receiving.chunk(Chunk(TransferId(1, 1), index, None), some_bytes(config.chunk_bytes_small))
    # when the first one finds the disk full, and what was there is gone before the second is told of
    first, second = jobs.waiting
    jobs.waiting.clear()
    first()
    jobs.waiting.pop(0)()
    second()
    # then the node lives, and has told of it once
    assert [type(event) for event in events] == [FetchFailed]
