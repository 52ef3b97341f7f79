"""A worker without a process: it takes the manager's messages, and does what they say when it is asked to."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from vine.names import ObjectId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.wire import messages as m
from vine.wire.parts import Assignment, CacheLevel, FetchFault
from vine.wire.worker_messages import (
    AbandonDownload,
    AbandonFetch,
    CancelAttempts,
    ChangeSources,
    DownloadUrl,
    DropObjects,
    EndWorker,
    FetchEnded,
    FetchObject,
    RateObjects,
    RunAttempts,
    StoreObjects,
    UnpackObject,
    VerifyObjects,
)


@dataclass(repr=False)
class FakeWorker:
    """Does what the messages say, one step when it is asked to."""

    worker_id: WorkerId
    peer: PeerKey
    cores: float
    chunks_endpoint: str
    host: str = ""
    holds: set[ObjectId] = field(default_factory=set)
    spare: set[ObjectId] = field(default_factory=set)  # what it may give up for room
    forever: set[ObjectId] = field(default_factory=set)
    fetching: dict[object, FetchObject] = field(default_factory=dict)
    abandoned: dict[object, FetchObject] = field(default_factory=dict)  # and has not answered that it has stopped
    storing: list[ObjectId] = field(default_factory=list)
    unpacking: list[UnpackObject] = field(default_factory=list)
    verifying: list[ObjectId] = field(default_factory=list)
    downloading: dict[object, DownloadUrl] = field(default_factory=dict)
    stopped: set[object] = field(default_factory=set)  # downloads that it was told to stop, and has not answered
    assigned: dict[object, Assignment] = field(default_factory=dict)
    running: dict[object, Assignment | None] = field(default_factory=dict)
    ended: bool = False
    received: list[m.Message] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.worker_id}>"  # Hypothesis prints it at each event of a failing run.

    def stops(self, transfer: object) -> FetchEnded:
        """It has stopped a flow as it was told to."""
        order = self.abandoned.pop(transfer)
        return FetchEnded(order.transfer_id, order.object_id, FetchFault.ABANDONED, 0, 0.0)

    def manager_lost(self) -> None:
        """What has begun goes on; nothing else does: the next manager orders anew what it needs."""
        for waiting in (self.fetching, self.abandoned, self.downloading, self.assigned, self.stopped):
            waiting.clear()
        self.storing, self.unpacking, self.verifying = [], [], []

    def take(self, message: m.Message) -> None:
        self.received.append(message)
        match message:
            case RunAttempts():
                self.assigned.update({a.attempt: a for a in message.assignments})
            case CancelAttempts():
                for attempt in message.attempts:
                    if self.assigned.pop(attempt, None) or attempt in self.running:
                        self.running[attempt] = None  # to be reported as cancelled
            case StoreObjects():
                self.storing += [o.object_id for o in message.objects]
            case FetchObject():
                self.fetching[message.transfer_id] = message
            case ChangeSources():
                if (order := self.fetching.get(message.transfer_id)) is not None:
                    # As when it was ordered, chunk j comes from source j modulo their number.
                    assert len(message.sources) == len(order.sources), "a chunk's stripe must not change"
                    changed = {"sources": message.sources, "backups": message.backups}
                    self.fetching[message.transfer_id] = msgspec.structs.replace(order, **changed)
            case AbandonFetch():
                if (stopped := self.fetching.pop(message.transfer_id, None)) is not None:
                    self.abandoned[message.transfer_id] = stopped
            case UnpackObject():
                self.unpacking.append(message)
            case VerifyObjects():
                self.verifying += [o for o in message.object_ids if o in self.holds]
            case DownloadUrl():
                self.downloading[message.download_id] = message
            case AbandonDownload():
                self.stopped |= self.downloading.keys() & {message.download_id}
            case RateObjects():
                here = self.holds & set(message.object_ids)
                self.spare = self.spare | here if message.spare else self.spare - here
                self.forever = self.forever | here if message.cache is CacheLevel.FOREVER else self.forever - here
            case DropObjects():
                self.holds -= set(message.object_ids)
                self.verifying = [o for o in self.verifying if o not in message.object_ids]
                self.unpacking = [u for u in self.unpacking if u.object_id not in message.object_ids]
                self.storing = [o for o in self.storing if o not in message.object_ids]
            case EndWorker():
                self.ended = True

    def made(self, object_id: ObjectId) -> None:
        self.holds.add(object_id)
        self.spare.discard(object_id)

    def came(self, object_id: ObjectId, level: CacheLevel) -> None:
        self.holds.add(object_id)
        self.spare.add(object_id)
        self.forever |= {object_id} if level is CacheLevel.FOREVER else set()

    def may_go(self) -> list[ObjectId]:
        """What the worker's own rules let it give up for room."""
        attempts = [a for a in (*self.assigned.values(), *self.running.values()) if a is not None]
        needed = {need for attempt in attempts for need in self.needs(attempt)}
        needed |= {order.archive for order in self.unpacking}
        return sorted(self.holds & self.spare - needed)

    def has_inputs(self, assignment: Assignment) -> bool:
        return self.needs(assignment) <= self.holds

    @staticmethod
    def needs(assignment: Assignment) -> set[ObjectId]:
        needs = {assignment.function, assignment.payload_object, assignment.environment}
        needs |= {mount.object_id for mount in assignment.inputs}
        needs |= {value.object_id for value in assignment.values}
        return {need for need in needs if need is not None}
