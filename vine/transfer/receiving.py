"""How does a node do what its receivers decide: ask, hash and write chunks, commit, and keep what came of it?

An object that comes into the owner's store has one `_Arrival`, which outlives a pull that fails, so
that the next one resumes it, and from which its chunks are served on. A pull into a place of its own
(`begin` given with the order) has an arrival that nobody else sees and that ends with it.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from msgspec.structs import replace

from vine import config
from vine.content.hashing import chunk_is_good
from vine.content.manifest import chunk_count
from vine.errors import DiskFull, MalformedMessage
from vine.names import ObjectId, TransferId
from vine.transfer.edges import Edges, Parcel
from vine.transfer.events import Fetched, FetchFailed, NodeEvent, SlowSource
from vine.transfer.jobs import Jobs
from vine.transfer.landing import ChunkCheck, Landing
from vine.transfer.objects import BeginPartial, Buffer, ObjectSource, PartialObject
from vine.transfer.receiver import (
    Action,
    Complete,
    Fail,
    Receiver,
    ReportSlow,
    SendCancel,
    SendEnd,
    SendWant,
    StoreChunk,
)
from vine.transfer.serving import Serving
from vine.wire.codec import encode_one
from vine.wire.data import CancelWants, Chunk, EndOfWants, Want, WantRefused
from vine.wire.parts import FetchFault, Manifest, Role, SourceEdge
from vine.wire.worker_messages import ChangeSources, FetchObject


class _State(enum.Enum):
    ABSENT = "absent"
    OPENING = "opening"
    OPEN = "open"
    COMMITTING = "committing"
    DISCARDING = "discarding"


@dataclass(slots=True, eq=False)
class _Pull:
    """One order to fetch; `receiver` is there once its arrival is open."""

    order: FetchObject
    arrival: _Arrival
    started_at: float
    receiver: Receiver | None = None
    received_bytes: int = 0
    from_manager_bytes: int = 0


@dataclass(slots=True, eq=False)
class _Arrival:
    """An object on its way in."""

    object_id: ObjectId
    manifest: Manifest
    begin: BeginPartial
    shared: bool
    state: _State = _State.ABSENT
    landing: Landing | None = None
    pull: _Pull | None = None
    unwanted: bool = False  # discard it when no pull is left
    writing: int = 0  # chunks that jobs have in hand


class Receiving:
    """The receiving half of a node; lives on its socket thread."""

    def __init__(
        self,
        objects: ObjectSource,
        serving: Serving,
        reply_to: tuple[str, Role],
        edges: Edges,
        jobs: Jobs,
        on_event: Callable[[NodeEvent], None],
        clock: Callable[[], float],
        is_good: ChunkCheck = chunk_is_good,
        waited_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._objects = objects
        self._serving = serving
        serving.is_owed = self.is_owed
        self._reply_to, self._role = reply_to
        self._edges = edges
        self._jobs = jobs
        self._on_event = on_event
        self._clock = clock
        self._is_good = is_good
        self._waited_s = waited_s  # how long this thread has waited for a processor
        self._waited_before_s = 0.0
        self._strain_at = 0.0
        self._pulls: dict[TransferId, _Pull] = {}
        self._arrivals: dict[ObjectId, _Arrival] = {}  # the shared ones
        self.look_at = math.inf  # a tick is due then, though nothing may come: a busy source is asked again
        self.received_bytes = 0
        self.bad_chunks = 0
        self.stray = 0

    def pulls(self) -> int:
        return len(self._pulls)

    def landing_of(self, object_id: ObjectId) -> Landing | None:
        """Where chunks of an arriving object can be read."""
        arrival = self._arrivals.get(object_id)
        return None if arrival is None else arrival.landing

    def is_owed(self, object_id: ObjectId, index: int) -> bool:
        """Whether an arriving object lacks only what its source has of this chunk's stripe."""
        arrival = self._arrivals.get(object_id)
        receiver = None if arrival is None or arrival.pull is None else arrival.pull.receiver
        return receiver is not None and receiver.is_owed(index)

    # --- orders ---

    def fetch(self, order: FetchObject, begin: BeginPartial | None) -> None:
        """Pull an object, into the store or to where `begin` says; one event will tell the end."""
        now = self._clock()
        if begin is None and self._is_here(order.object_id):
            self._on_event(Fetched(order.transfer_id, order.object_id, 0, 0.0))
            return
        arrival = self._arrivals.get(order.object_id) if begin is None else None
        if arrival is None:
            arrival = _Arrival(order.object_id, order.manifest, begin or self._objects.begin, shared=begin is None)
        arrival.unwanted = False
        if arrival.pull is not None:
            self._stop(arrival.pull, "a later order replaces it")
        arrival.pull = self._pulls[order.transfer_id] = _Pull(order, arrival, now)
        if arrival.shared:
            self._arrivals[order.object_id] = arrival
            count = chunk_count(order.manifest)
            self._serving.do(self._serving.core.receiving(order.object_id, count, (), now))
        self._proceed(arrival)

    def change_sources(self, change: ChangeSources) -> None:
        """Let a pull that runs follow another plan."""
        pull = self._pulls.get(change.transfer_id)
        if pull is None or not change.sources:
            return
        pull.order = replace(pull.order, sources=change.sources, backups=change.backups)
        if pull.receiver is not None:
            self._do(pull, pull.receiver.change(change.sources, change.backups, self._clock()))

    def abandon(self, transfer_id: TransferId) -> None:
        """Stop a pull. One that is just being committed is not stopped any more."""
        pull = self._pulls.get(transfer_id)
        if pull is not None and pull.arrival.state is not _State.COMMITTING:
            self._stop(pull, "it is not wanted any more")

    def forget(self, object_id: ObjectId) -> None:
        """Stop what brings this object, and discard what is here of it if it is not complete."""
        arrival = self._arrivals.get(object_id)
        if arrival is None:
            return
        arrival.unwanted = True
        if arrival.pull is not None and arrival.state is not _State.COMMITTING:
            self._stop(arrival.pull, "the object is not wanted any more")
        self._proceed(arrival)

    def came_otherwise(self, object_id: ObjectId) -> None:
        """The object is complete, and not by a pull: what an earlier one has left of it only takes up room."""
        arrival = self._arrivals.get(object_id)
        if arrival is not None:
            self._proceed(arrival)

    def stop(self) -> None:
        """Abandon everything, so that the sources hear the end at once."""
        for transfer_id in list(self._pulls):
            self.abandon(transfer_id)

    # --- what sources say ---

    def chunk(self, chunk: Chunk, payload: Buffer) -> None:
        pull = self._pulls.get(chunk.transfer_id)
        if pull is None or pull.receiver is None:
            self.stray += 1
            return
        now, unsolicited = self._clock(), pull.receiver.unsolicited
        self._tell_strain(now)
        actions = pull.receiver.chunk(chunk.edge, chunk.index, chunk.have, now, chunk.owed)
        self.stray += pull.receiver.unsolicited - unsolicited
        if actions:
            pull.received_bytes += len(payload)
            source = pull.receiver.source(chunk.edge)
            if source is not None and source.role is Role.SERVER:
                pull.from_manager_bytes += len(payload)
            self.received_bytes += len(payload)
        self._do(pull, actions, payload)

    def refused(self, refusal: WantRefused) -> None:
        pull = self._pulls.get(refusal.transfer_id)
        if pull is not None and pull.receiver is not None:
            told = (refusal.index, refusal.have)
            self._do(pull, pull.receiver.refused(refusal.edge, refusal.reason, self._clock(), told))
            self._look_again(pull)

    def unreachable(self, endpoint: str) -> None:
        for pull in list(self._pulls.values()):
            if pull.receiver is not None:
                self._do(pull, pull.receiver.unreachable(endpoint, self._clock()))

    def _tell_strain(self, now: float) -> None:
        """As often as sources are judged."""
        if now < self._strain_at:
            return
        self._strain_at = now + config.judge_interval_s
        before_s, self._waited_before_s = self._waited_before_s, self._waited_s()
        for pull in self._pulls.values():
            if pull.receiver is not None:
                pull.receiver.waited(self._waited_before_s - before_s)

    def tick(self, now: float) -> None:
        self.look_at = math.inf
        self._tell_strain(now)
        for pull in list(self._pulls.values()):
            if pull.receiver is not None:
                self._do(pull, pull.receiver.tick(now))
                self._look_again(pull)

    def _look_again(self, pull: _Pull) -> None:
        retry_at = None if pull.receiver is None else pull.receiver.retry_at()
        if retry_at is not None:
            self.look_at = min(self.look_at, retry_at)

    # --- the life of an arrival ---

    def _is_here(self, object_id: ObjectId) -> bool:
        try:
            self._objects.chunk_count(object_id)
        except KeyError:
            return False
        return True

    def _proceed(self, arrival: _Arrival) -> None:
        """Take the next step that the state allows; a job that runs will come back here."""
        pull = arrival.pull
        if arrival.state is _State.ABSENT:
            if pull is not None:
                arrival.state = _State.OPENING
                self._jobs.run(
                    lambda: arrival.begin(arrival.object_id, arrival.manifest),
                    lambda future: self._opened(arrival, future),
                )
            elif self._arrivals.get(arrival.object_id) is arrival:  # Else a late job of one that is over.
                del self._arrivals[arrival.object_id]
        elif arrival.state is _State.OPEN:
            assert arrival.landing is not None, "an open arrival has a place"
            if pull is None and (arrival.unwanted or not arrival.shared or self._is_passed(arrival)):
                self._discard(arrival, arrival.landing)
            elif pull is not None and pull.receiver is None and not arrival.writing:
                # What an earlier pull has got is here by now, and is not fetched again.
                self._start(pull, arrival.landing)

    def _is_passed(self, arrival: _Arrival) -> bool:
        """Whether what is here of the object is less than what came by another way."""
        assert arrival.landing is not None, "an open arrival has a place"
        incomplete = len(arrival.landing.present) < chunk_count(arrival.manifest)
        return incomplete and arrival.shared and self._is_here(arrival.object_id)

    def _opened(self, arrival: _Arrival, future: Future[PartialObject]) -> None:
        try:
            arrival.landing = Landing(future.result(), arrival.manifest, self._is_good)
        except (DiskFull, MalformedMessage, OSError) as error:
            arrival.state = _State.ABSENT
            self._no_room(arrival, error)
            return
        arrival.state = _State.OPEN
        self._proceed(arrival)

    def _start(self, pull: _Pull, landing: Landing) -> None:
        now = self._clock()
        order, count, present = pull.order, chunk_count(pull.order.manifest), landing.present
        if not order.sources and len(present) < count:
            self._end(pull, Fail(FetchFault.SOURCE_GONE, None, "the order names no source"))
            return
        if pull.arrival.shared:
            self._serving.do(self._serving.core.receiving(order.object_id, count, present, now))
        pull.receiver = Receiver(count, present, order.sources, order.backups, now, order.patience)
        self._do(pull, pull.receiver.start(now))

    def _stored(self, pull: _Pull, index: int, future: Future[bool]) -> None:
        assert pull.receiver is not None, "chunks are stored for receivers"
        pull.arrival.writing -= 1
        try:
            good = future.result()
        except (DiskFull, OSError) as error:
            if pull.arrival.pull is pull:
                pull.arrival.unwanted = True  # Its room is what is lacking.
                self._do(pull, pull.receiver.fail(FetchFault.DISK_FULL, str(error)))
            else:
                self._proceed(pull.arrival)
            return
        self.bad_chunks += not good
        if good and pull.arrival.shared:
            self._serving.do(self._serving.core.available(pull.order.object_id, index))
        self._do(pull, pull.receiver.stored(index, good, self._clock()))
        if pull.arrival.pull is not pull:
            self._proceed(pull.arrival)

    def _committed(self, arrival: _Arrival, future: Future[None]) -> None:
        try:
            future.result()
        except (DiskFull, OSError) as error:
            arrival.state, arrival.unwanted = _State.OPEN, True
            self._no_room(arrival, error)
            return
        arrival.state, arrival.landing = _State.ABSENT, None
        pull, arrival.pull = arrival.pull, None
        if arrival.shared and not arrival.unwanted:
            self._serving.complete(arrival.object_id)
        if pull is not None:
            order = self._pulls.pop(pull.order.transfer_id).order
            seconds = self._clock() - pull.started_at
            received, from_manager = pull.received_bytes, pull.from_manager_bytes
            self._on_event(Fetched(order.transfer_id, order.object_id, received, seconds, from_manager))
        self._proceed(arrival)

    def _discard(self, arrival: _Arrival, landing: Landing) -> None:
        is_served = not arrival.unwanted and self._is_passed(arrival)
        arrival.state, arrival.landing = _State.DISCARDING, None
        if arrival.shared and not is_served:
            self._serving.gone(arrival.object_id)
        self._jobs.run(landing.discard, lambda future: self._discarded(arrival, future))

    def _discarded(self, arrival: _Arrival, future: Future[None]) -> None:
        future.result()
        arrival.state = _State.ABSENT
        self._proceed(arrival)

    def _no_room(self, arrival: _Arrival, error: Exception) -> None:
        """Nothing of the object could be kept here."""
        if arrival.shared:
            self._serving.gone(arrival.object_id)
        if arrival.pull is not None:
            malformed = isinstance(error, MalformedMessage)
            fault = FetchFault.SOURCE_REFUSED if malformed else FetchFault.DISK_FULL
            self._end(arrival.pull, Fail(fault, None, str(error)))
        else:
            self._proceed(arrival)

    # --- actions ---

    def _do(self, pull: _Pull, actions: list[Action], payload: Buffer = b"") -> None:
        for action in actions:
            if isinstance(action, StoreChunk):
                self._store(pull, action.index, payload)
            elif isinstance(action, SendWant):
                self._send_want(pull, action)
            elif isinstance(action, SendCancel):
                order = pull.order
                self._say(action.source, CancelWants(order.transfer_id, action.source.token, action.chunks))
            elif isinstance(action, SendEnd):
                self._say(action.source, EndOfWants(pull.order.transfer_id, action.source.token))
            elif isinstance(action, ReportSlow):
                order, source = pull.order, action.source.source
                self._on_event(SlowSource(order.transfer_id, order.object_id, source, action.silent))
            elif isinstance(action, Complete):
                self._commit(pull.arrival)
            else:
                self._end(pull, action)

    def _store(self, pull: _Pull, index: int, payload: Buffer) -> None:
        landing = pull.arrival.landing
        assert landing is not None, "a receiver has a place for its chunks"
        pull.arrival.writing += 1
        self._jobs.run(lambda: landing.write(index, payload), lambda future: self._stored(pull, index, future))

    def _send_want(self, pull: _Pull, want: SendWant) -> None:
        order, source = pull.order, want.source
        self._say(
            source,
            Want(
                order.transfer_id,
                order.object_id,
                source.token,
                self._reply_to,
                self._role,
                want.chunks,
                want.edge,
                want.stripes,
                want.backup,
            ),
        )

    def _say(self, source: SourceEdge, message: Want | CancelWants | EndOfWants) -> None:
        self._edges.send(source.requests_endpoint, source.role, Parcel(encode_one(message)), self._clock())

    def _commit(self, arrival: _Arrival) -> None:
        assert arrival.landing is not None, "what is complete lies somewhere"
        arrival.state = _State.COMMITTING
        self._jobs.run(arrival.landing.commit, lambda future: self._committed(arrival, future))

    def _stop(self, pull: _Pull, message: str) -> None:
        if pull.receiver is None or pull.receiver.over:
            self._end(pull, Fail(FetchFault.ABANDONED, None, message))
        else:
            self._do(pull, pull.receiver.fail(FetchFault.ABANDONED, message))

    def _end(self, pull: _Pull, failure: Fail) -> None:
        order = pull.order
        del self._pulls[order.transfer_id]
        pull.arrival.pull = None
        source = None if failure.source is None else failure.source.source
        message = failure.message if source is None else f"{source}: {failure.message}"
        seconds = self._clock() - pull.started_at
        self._on_event(
            FetchFailed(
                order.transfer_id,
                order.object_id,
                failure.fault,
                source,
                message,
                pull.received_bytes,
                seconds,
                pull.from_manager_bytes,
            )
        )
        self._proceed(pull.arrival)
