"""How does a simulated worker run: the true core of a worker, fed with what comes and obeyed in what it asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.simulator.bodies import Bodies, Programs
from benchmarks.simulator.machine import Machine
from benchmarks.simulator.network import Port
from benchmarks.simulator.node import Addresses, SimulatedNode
from benchmarks.simulator.store import SimulatedStore
from benchmarks.simulator.trace import Trace
from benchmarks.simulator.unpacking import Unpacking
from vine import config
from vine.content.hashing import manifest_of_bytes
from vine.names import HostId, ObjectId, WorkerId
from vine.transfer.events import Fetched, NodeEvent, NodeFailed
from vine.wire.parts import Resources, Role
from vine.wire.worker_messages import FromWorker, ToWorker, WorkerBye, WorkerHello, WorkerStatus
from vine_worker import actions as act
from vine_worker.core import WorkerCore
from vine_worker.reports import message_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker is and what it has."""

    name: str
    machine: Machine
    port: Port
    capacity: Resources
    features: tuple[str, ...]
    archive_bytes: Callable[[ObjectId], int]  # what comes out of an archive
    host_start_s: float
    unpacks_ahead: bool = True  # archives while they arrive
    heartbeat_after_s: Callable[[float], float] = lambda now: config.heartbeat_interval_s


class SimulatedWorker:
    """One worker, until its machine is gone or it is told to end."""

    def __init__(
        self,
        place: Place,
        addresses: Addresses,
        bodies: Bodies,
        send: Callable[[FromWorker], None],
        trace: Trace,
    ) -> None:
        self.place = place
        self.name = WorkerId(place.name)
        self.ended = False
        self.fetched_s: dict[ObjectId, float] = {}  # when each object was complete here
        self._machine, self._clock = place.machine, place.machine.clock
        self._send = send
        self._store = self.make_store(place.machine)
        self.node = SimulatedNode(
            place.name, Role.WORKER, place.machine, place.port, addresses, self._store, self._of_node, trace
        )
        self.core = WorkerCore(place.capacity, inputs_protected=True)
        self._programs = programs = self.make_programs(bodies)
        unpacking = Unpacking(place.machine, place.archive_bytes, self._later)
        self.unpacked_s = unpacking.unpacked_s  # when each archive's folder was complete here
        if place.unpacks_ahead:
            self._store.on_begun = lambda key: self._later(act.Arriving(key))
        self._events: deque[Any] = deque()
        self._feeding = False
        self._look_at = float("inf")
        self._do: dict[type[Any], Callable[[Any], None]] = {
            act.Send: lambda action: self._send(action.message),
            act.Admitted: self._admitted,
            act.StartFetch: lambda action: self.node.fetch(action.order),
            act.ChangeFetch: lambda action: self.node.change_sources(action.change),
            act.StopFetch: lambda action: self.node.abandon(action.transfer_id),
            act.KeepObject: self._keep,
            act.StartUnpack: unpacking.start,
            act.ArchiveCame: unpacking.archive_came,
            act.StopUnpack: unpacking.stop,
            act.StartDownload: _never,
            act.StopDownload: _never,
            act.Verify: self._verify,
            act.Unpin: _nothing,  # Nothing is ever evicted here.
            act.Rate: _nothing,
            act.RemoveObjects: self._remove,
            act.StartBody: programs.start,
            act.KillBody: programs.kill,
            act.TakeBackBody: programs.take_back_body,
            act.MeasureUse: _nothing,  # What bodies use is known here from the start.
            act.LookAtOutputs: _nothing,  # No output is watched here.
            act.Collect: programs.collect,
            act.StartHost: programs.start_host,
            act.RunCall: programs.run_call,
            act.StartLibrary: _never,
            act.EndLibrary: _never,
            act.TakeBack: programs.take_back,
            act.EndHost: programs.end_host,
            act.End: self._end,
        }

    # --- what a worker of another kind has instead ---

    def make_store(self, machine: Machine) -> SimulatedStore:
        return SimulatedStore(machine)

    def make_programs(self, bodies: Bodies) -> Programs:
        return Programs(self._clock, self._store, bodies, self.place.host_start_s, self._later)

    def handle(self, event: Any, now: float) -> None:
        """One event goes to the core, and what it asks for is done."""
        self._execute(self.core.handle(event, now))

    def free_disk_bytes(self) -> int:
        return 0

    # --- as it begins ---

    def hello(self) -> WorkerHello:
        place = self.place
        return WorkerHello(
            worker_id=self.name,
            host_id=HostId(f"host-{place.name}"),
            hostname=place.name,
            pid=1,
            capacity=place.capacity,
            features=place.features,
            python="3.11",
            requests_endpoint=self.node.requests_endpoint,
            chunks_endpoint=self.node.chunks_endpoint,
            epoch=self.core.epoch,
        )

    def join(self, first_status_s: float) -> None:
        """Say hello to the manager, and from then on that it is still here."""
        self._send(self.hello())
        self.tell_status_after(first_status_s)

    def tell_status_after(self, seconds: float) -> None:
        """... and from then on as often as it does."""
        self._clock.after(seconds, self._tell_status)

    def hear(self, message: ToWorker) -> None:
        """The manager says this."""
        if not self.ended:
            self._feed(message)

    # --- the loop ---

    def _later(self, event: object) -> None:
        """As from another thread: the event is fed in a turn of its own."""
        self._clock.after(0, lambda: self._feed(event))

    def _feed(self, event: Any) -> None:
        if self.ended or not self._machine.alive:
            return
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        now = self._clock.now()
        while self._events:
            self.handle(self._events.popleft(), now)
        self._feeding = False
        self._turn(now)

    def _turn(self, now: float) -> None:
        self._execute(self.core.tick(now))
        news_due = self.core.news_due()
        if news_due is not None and news_due <= now:
            self._execute(self.core.flush())
        for due in (self.core.next_deadline(), self.core.news_due()):
            if due is not None and due < self._look_at:
                self._look_at = due
                self._clock.at(due, partial(self._look, due))

    def _look(self, due: float) -> None:
        if due != self._look_at:
            return  # An earlier one was arranged instead.
        self._look_at = float("inf")
        if not self.ended and self._machine.alive:
            self._turn(self._clock.now())

    def _execute(self, actions: list[act.Action]) -> None:
        for action in actions:
            self._do[type(action)](action)

    def _tell_status(self) -> None:
        if self.ended or not self._machine.alive:
            return
        status = WorkerStatus(
            store_bytes=sum(manifest.size for manifest in self._store.manifests.values()),
            free_disk_bytes=self.free_disk_bytes(),
            sent_bytes=self.node.sent_bytes(),
            received_bytes=self.node.receiving.received_bytes,
            flows_out=self.node.sender.flows(),
            flows_out_max=self.node.sender.flows_max,
            malformed=0,
        )
        self._send(status)
        self.tell_status_after(self.place.heartbeat_after_s(self._clock.now()))

    # --- actions ---

    def _admitted(self, action: act.Admitted) -> None:
        self.node.set_source_key(action.source_key)
        self.node.set_transfers_max(action.transfers_max)

    def _keep(self, action: act.KeepObject) -> None:
        item = action.item
        self._store.put(item.object_id, manifest_of_bytes(item.data))
        self._feed(act.Kept(item.object_id))
        self.node.object_complete(item.object_id)

    def _verify(self, action: act.Verify) -> None:
        """What is here is what it was; to know that takes its time."""
        size = self._store.manifests[action.object_id].size
        ends_at = self._machine.hashing.take(size, self._clock.now())
        self._clock.at(ends_at, lambda: self._feed(act.Verified(action.object_id, good=True)))

    def _remove(self, action: act.RemoveObjects) -> None:
        for object_id in action.object_ids:
            self.node.forget(object_id)
            self._store.remove(object_id)

    def _end(self, action: act.End) -> None:
        self.ended = True
        self._send(WorkerBye(action.reason))

    # --- the transfer node ---

    def _of_node(self, event: NodeEvent) -> None:
        if isinstance(event, Fetched):
            self.fetched_s.setdefault(event.object_id, self._clock.now())
        assert not isinstance(event, NodeFailed), event
        self._later(message_of(event))


def _never(action: object) -> None:
    raise AssertionError(f"a simulated cluster has no web and no libraries: {action}")


def _nothing(_action: object) -> None:
    """It would tell the store what may go for room."""
