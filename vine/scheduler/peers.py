"""Who talks to the manager besides workers: its view of clients and factories."""

from __future__ import annotations

from dataclasses import dataclass, field

from vine.names import AttemptId, ClientId, ObjectId, TaskId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.wire.messages import FactoryHello, FactoryStatus, FleetDemand, RunState
from vine.wire.parts import Outcome, TaskResult


@dataclass(slots=True)
class ClientRecord:
    """The manager's view of a client."""

    peer: PeerKey
    client_id: ClientId
    index: int
    heard_at: float
    same_host: bool  # its paths name the manager's files
    told: RunState | None = None
    key_digest: bytes = b""
    said: int = 0  # messages of its session ...
    journaled: int = 0  # ... so many of which it knows to be in the journal
    workers_awaited: int = 0  # before so many are connected, what it submits waits
    owed: dict[TaskId, TaskResult] | None = None  # Of one that is yet to come back: results that it may lack.


@dataclass(slots=True)
class AwaitedWorker:
    """A worker that had joined the run before its manager was restarted, and has not come back."""

    until: float  # when it has given up by itself, and nobody waits for it any more
    attempts: dict[AttemptId, TaskId] = field(default_factory=dict)  # that it may be running
    begun: set[AttemptId] = field(default_factory=set)  # those of which it has said so
    objects: set[ObjectId] = field(default_factory=set)  # that it has made


@dataclass(slots=True)
class FactoryRecord:
    """The manager's view of a factory."""

    peer: PeerKey
    hello: FactoryHello
    heard_at: float
    status: FactoryStatus | None = None
    told: FleetDemand | None = None
    draining: frozenset[WorkerId] = frozenset()  # workers that it lets go


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that did not succeed, as views show it."""

    task_id: TaskId
    label: str
    outcome: Outcome
    message: str
    worker_id: WorkerId | None
    log_path: str
