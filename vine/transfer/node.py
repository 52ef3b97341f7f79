"""Who moves chunks between this process and its peers? One thread with two bound sockets and one a peer.

The thread never blocks: it decides by `sender` and `receiver`, and leaves reading, hashing and
writing to the threads of `jobs`. Everything reaches it through sockets or the mailbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import zmq

from vine import config
from vine.errors import MalformedMessage
from vine.names import ObjectId, TransferId
from vine.transfer.edges import Edges
from vine.transfer.events import NodeEvent, NodeFailed, NodeStats
from vine.transfer.jobs import Jobs
from vine.transfer.landing import Landing
from vine.transfer.mailbox import Mailbox
from vine.transfer.objects import BeginPartial, ObjectSource
from vine.transfer.receiving import Receiving
from vine.transfer.sender import Sender
from vine.transfer.serving import Serving
from vine.transfer.strain import Strain
from vine.wire.codec import Decoder
from vine.wire.data import CancelWants, Chunk, EndOfWants, ToReceiver, ToSource, Want, WantRefused
from vine.wire.keys import Connection, RunKeys
from vine.wire.parts import Role
from vine.wire.sockets import Context, Socket, bind_pull, connect_push
from vine.wire.worker_messages import ChangeSources, FetchObject

_Taker = tuple[int, Callable[..., None]]  # frames of the message, and who takes it and what follows it


class _Inlet:
    """A bound socket, what its messages may be, and who takes them."""

    def __init__(self, socket: Socket, union: object, takers: dict[type, _Taker]) -> None:
        self.socket = socket
        self.malformed = 0
        self._decoder: Decoder[ToSource | ToReceiver] = Decoder(union)
        self._takers = takers

    def drain(self) -> None:
        """Take what has come, up to a batch."""
        for _ in range(config.node_batch_messages):
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            try:
                message = self._decoder.decode_one(frames[0].buffer)
            except MalformedMessage:
                self.malformed += 1
                continue
            frames_due, take = self._takers[type(message)]
            if len(frames) != frames_due:
                self.malformed += 1
                continue
            take(message, *(frame.buffer for frame in frames[1:]))


class TransferNode:
    """A node that serves `objects` to peers and fetches objects from them, on threads of its own.

    All methods may be called from any thread. `on_event` is called on the node's threads: it must
    only hand the event on. Each fetch ends with exactly one event.
    """

    def __init__(
        self,
        context: Context,
        keys: RunKeys | Connection,
        role: Role,
        host: str,
        source_key: bytes | None,
        objects: ObjectSource,
        on_event: Callable[[NodeEvent], None],
        transfers_max: int = config.source_transfers_max,
        curve: bool = True,
    ) -> None:
        self._on_event = on_event
        self._context, self._keys, self._curve = context, keys, curve
        requests, self.requests_endpoint = bind_pull(context, keys.own, host, curve=curve)
        chunks, self.chunks_endpoint = bind_pull(context, keys.own, host, curve=curve)
        self._mailbox = Mailbox()
        self._poller = zmq.Poller()
        self._edges = Edges(self._open_edge, self._poller)
        # Reads have a thread of their own: what is asked of us does not wait behind the hashing of what we asked.
        self._readers = Jobs(self._mailbox, 1, "vine-read")
        self._writers = Jobs(self._mailbox, config.store_threads, "vine-store")
        small = config.manager_small_transfers if role is Role.SERVER else 0
        clock = time.monotonic
        self._sender = Sender(transfers_max, small)
        self._serving = Serving(self._sender, objects, self._landing_of, self._edges, self._readers, clock)
        self._serving.source_key = source_key
        reply_to = (self.chunks_endpoint, role)
        self._strain = Strain()
        self._receiving = Receiving(
            objects, self._serving, reply_to, self._edges, self._writers, on_event, clock,
            waited_s=self._strain.waited_s,
        )  # fmt: skip
        serving = self._serving
        asks: dict[type, _Taker] = {
            Want: (1, serving.want),
            CancelWants: (1, serving.cancel),
            EndOfWants: (1, serving.end),
        }
        self._requests = _Inlet(requests, ToSource, asks)
        self._chunks = _Inlet(
            chunks, ToReceiver, {Chunk: (2, self._receiving.chunk), WantRefused: (1, self._receiving.refused)}
        )
        self._tick_at = 0.0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="vine-transfer", daemon=True)
        self._thread.start()

    # --- commands ---

    def set_source_key(self, key: bytes) -> None:
        """The manager's key for tokens; until it is there every want is without authority."""
        self._mailbox.post(setattr, self._serving, "source_key", key)

    def set_transfers_max(self, transfers_max: int) -> None:
        """How many flows this node serves at once."""
        self._mailbox.post(self._sender.set_transfers_max, transfers_max)

    def fetch(self, order: FetchObject, begin: BeginPartial | None = None) -> None:
        """Pull an object into the store, or to where `begin` puts it (and then it is not served on).

        One that failed is kept as it is and resumed by the next order for the same object.
        """
        self._mailbox.post(self._receiving.fetch, order, begin)

    def change_sources(self, change: ChangeSources) -> None:
        """Let a fetch that runs go on from other sources; of any other, nothing is done."""
        self._mailbox.post(self._receiving.change_sources, change)

    def abandon(self, transfer_id: TransferId) -> None:
        """Stop a fetch: it ends as ABANDONED, unless its object is just being committed."""
        self._mailbox.post(self._receiving.abandon, transfer_id)

    def object_complete(self, object_id: ObjectId) -> None:
        """An object has come into the store other than by a fetch: serve those who wait for it."""
        self._mailbox.post(self._serving.complete, object_id)
        self._mailbox.post(self._receiving.came_otherwise, object_id)

    def forget(self, object_id: ObjectId) -> None:
        """Serve this object no more, stop its fetch, and discard what is here of it if it is not complete.

        Removing a complete object is the owner's; one that is arriving must be left to the node.
        """
        self._mailbox.post(self._serving.gone, object_id)
        self._mailbox.post(self._receiving.forget, object_id)

    def stats(self) -> NodeStats:
        sent = dict(self._serving.sent_bytes)
        return NodeStats(
            sent_bytes=sum(sent.values()),
            sent_bytes_by_object=sent,
            received_bytes=self._receiving.received_bytes,
            flows_out=self._sender.flows(),
            flows_out_max=self._sender.flows_max,
            pulls=self._receiving.pulls(),
            malformed=self._requests.malformed + self._chunks.malformed,
            unauthorised=self._sender.unauthorised,
            refused=self._sender.refused,
            excessive=self._sender.excessive,
            stray=self._receiving.stray,
            bad_chunks=self._receiving.bad_chunks,
            unreadable=self._serving.unreadable,
        )

    def close(self) -> None:
        """Stop: fetches that run end as ABANDONED, and what was to go elsewhere than the store is discarded."""
        self._mailbox.post(self._stop)
        self._thread.join()
        self._readers.close()
        self._writers.close()
        self._mailbox.close()

    # --- the thread ---

    def _stop(self) -> None:
        self._receiving.stop()
        self._closing = True

    def _open_edge(self, endpoint: str, role: Role) -> Socket:
        if role not in (Role.SERVER, Role.WORKER):
            raise MalformedMessage(f"a {role.value} has no transfer node")
        return connect_push(self._context, self._keys.own, self._keys.public(role), endpoint, curve=self._curve)

    def _landing_of(self, object_id: ObjectId) -> Landing | None:
        return self._receiving.landing_of(object_id)

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            self._on_event(NodeFailed(f"the transfer node has failed: {error!r}"))
            raise
        finally:
            self._edges.close()
            self._strain.close()
            self._requests.socket.close(linger=0)
            self._chunks.socket.close(linger=0)

    def _loop(self) -> None:
        # The order is that of the calls below: what is done in one turn leaves at its end.
        takers = {
            self._mailbox.fileno(): self._mailbox.make_calls,
            self._requests.socket: self._requests.drain,
            self._chunks.socket: self._chunks.drain,
        }
        for readable in takers:
            self._poller.register(readable, zmq.POLLIN)
        while not self._closing or self._writers.running:
            for ready, _ in self._poller.poll(self._patience_ms()):
                take = takers.get(ready)
                if take is not None:  # A sending socket that takes more is served by the flush.
                    take()
            now = time.monotonic()
            if now >= min(self._tick_at, self._receiving.look_at):
                self._tick(now)
            self._edges.flush(now)

    def _tick(self, now: float) -> None:
        self._receiving.tick(now)
        self._serving.do(self._sender.tick(now))
        for endpoint in self._edges.expire(now):
            self._receiving.unreachable(endpoint)
            self._sender.unreachable(endpoint)
        self._tick_at = now + config.node_tick_s

    def _patience_ms(self) -> int | None:
        """How long nothing need be done: while nothing is under way, for ever."""
        if len(self._edges) or self._receiving.pulls() or self._sender.next_deadline() is not None:
            due = min(self._tick_at, self._receiving.look_at)
            return max(0, int((due - time.monotonic()) * 1000) + 1)
        return None
