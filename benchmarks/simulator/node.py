"""Who moves chunks between simulated nodes? The true halves of a transfer node, on virtual threads and sockets."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks.simulator.edges import SimulatedEdges
from benchmarks.simulator.machine import Machine, SimulatedJobs
from benchmarks.simulator.network import Network, Pipe, Port
from benchmarks.simulator.store import SimulatedStore
from benchmarks.simulator.trace import Trace
from vine import config
from vine.names import ObjectId, TransferId
from vine.transfer.edges import Parcel
from vine.transfer.events import NodeEvent
from vine.transfer.landing import Landing
from vine.transfer.objects import BeginPartial
from vine.transfer.receiving import Receiving
from vine.transfer.sender import Sender
from vine.transfer.serving import Serving
from vine.wire.codec import Decoder
from vine.wire.data import CancelWants, Chunk, ToReceiver, ToSource, Want
from vine.wire.parts import Role
from vine.wire.worker_messages import ChangeSources, FetchObject

_to_source: Decoder[ToSource] = Decoder(ToSource)
_to_receiver: Decoder[ToReceiver] = Decoder(ToReceiver)

Takes = Callable[[Parcel], None]


class Addresses:
    """Which node takes what is sent to an endpoint."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._at: dict[str, tuple[Port, Takes]] = {}

    def bind(self, port: Port, takes: Takes) -> str:
        """A new endpoint of this node."""
        number = len(self._at)
        endpoint = f"tcp://10.{number >> 16}.{number >> 8 & 255}.{number & 255}:1"
        self._at[endpoint] = (port, takes)
        return endpoint

    def connect(self, source: Port, endpoint: str) -> Pipe | None:
        if endpoint not in self._at:
            return None
        target, takes = self._at[endpoint]
        return self._network.pipe(source, target, takes)


class SimulatedNode:
    """A transfer node: what `TransferNode` is to real sockets and threads."""

    def __init__(
        self,
        name: str,
        role: Role,
        machine: Machine,
        port: Port,
        addresses: Addresses,
        store: SimulatedStore,
        on_event: Callable[[NodeEvent], None],
        trace: Trace,
    ) -> None:
        self.name = name
        self._machine = machine
        self._clock = clock = machine.clock
        self._trace = trace
        self.requests_endpoint = addresses.bind(port, self._take_request)
        self.chunks_endpoint = addresses.bind(port, self._take_chunk)
        self._edges = edges = SimulatedEdges(lambda endpoint: addresses.connect(port, endpoint))
        small = config.manager_small_transfers if role is Role.SERVER else 0
        self.sender = Sender(config.source_transfers_max, small)
        readers, self._writers = SimulatedJobs(machine, 1), SimulatedJobs(machine, config.store_threads)
        self.serving = Serving(self.sender, store, self._landing_of, edges, readers, clock.now)
        reply_to = (self.chunks_endpoint, role)
        self.receiving = Receiving(
            store, self.serving, reply_to, edges, self._writers, on_event, clock.now, store.is_good
        )
        self.first_chunk_s: dict[ObjectId, float] = {}  # when the first bytes of each object came
        self._orders: dict[TransferId, ObjectId] = {}
        self._tick_at = math.inf

    # --- commands, as of a transfer node ---

    def set_source_key(self, key: bytes) -> None:
        self.serving.source_key = key

    def set_transfers_max(self, transfers_max: int) -> None:
        self.sender.set_transfers_max(transfers_max)

    def fetch(self, order: FetchObject, begin: BeginPartial | None = None) -> None:
        self._orders[order.transfer_id] = order.object_id
        self.receiving.fetch(order, begin)
        self._keep_ticking()

    def change_sources(self, change: ChangeSources) -> None:
        self.receiving.change_sources(change)
        self._keep_ticking()

    def abandon(self, transfer_id: TransferId) -> None:
        self.receiving.abandon(transfer_id)

    def object_complete(self, object_id: ObjectId) -> None:
        self.serving.complete(object_id)

    def forget(self, object_id: ObjectId) -> None:
        self.serving.gone(object_id)
        self.receiving.forget(object_id)

    def sent_bytes(self) -> int:
        return sum(self.serving.sent_bytes.values())

    # --- what comes ---

    def _take_request(self, parcel: Parcel) -> None:
        message = _to_source.decode_one(parcel.header)
        if isinstance(message, Want):
            self.serving.want(message)
        elif isinstance(message, CancelWants):
            self.serving.cancel(message)
        else:
            self.serving.end(message)
        self._keep_ticking()

    def _take_chunk(self, parcel: Parcel) -> None:
        message = _to_receiver.decode_one(parcel.header)
        if isinstance(message, Chunk):
            assert parcel.payload is not None
            self._trace.note(self.name, "chunk", message.index, message.transfer_id.counter)
            order = self._orders.get(message.transfer_id)
            if order is not None and order not in self.first_chunk_s:
                self.first_chunk_s[order] = self._clock.now()
            self.receiving.chunk(message, parcel.payload)
        else:
            self.receiving.refused(message)
        self._keep_ticking()

    def _landing_of(self, object_id: ObjectId) -> Landing | None:
        return self.receiving.landing_of(object_id)

    # --- what is due ---

    def _keep_ticking(self) -> None:
        self._tick_by(min(self._clock.now() + config.node_tick_s, self.receiving.look_at))

    def _tick_by(self, due: float) -> None:
        if due < self._tick_at:
            self._tick_at = due
            self._clock.at(due, lambda: self._tick(due))

    def _tick(self, due: float) -> None:
        if not self._machine.alive or due != self._tick_at:
            return  # An earlier one was arranged instead.
        self._tick_at = math.inf
        now = self._clock.now()
        self.receiving.tick(now)
        self.serving.do(self.sender.tick(now))
        for endpoint in self._edges.expire(now):
            self.receiving.unreachable(endpoint)
            self.sender.unreachable(endpoint)
        if self.receiving.pulls() or self.sender.next_deadline() is not None:
            self._keep_ticking()
        elif (idle_at := self._edges.idle_at()) < math.inf:
            self._tick_by(max(idle_at, now + config.node_tick_s))
