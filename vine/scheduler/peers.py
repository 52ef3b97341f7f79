"""Who talks to the manager besides workers: its view of clients and factories."""

from __future__ import annotations

from dataclasses import dataclass, field

from vine.names import ClientId, TaskId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.wire.messages import FactoryHello, FactoryStatus, FleetDemand, RunState
from vine.wire.parts import Outcome


@dataclass(slots=True)
class ClientRecord:
    """The manager's view of a client."""

    peer: PeerKey
    client_id: ClientId
    index: int
    heard_at: float
    same_host: bool  # its paths name the manager's files
    told: RunState | None = None
    tasks: set[TaskId] = field(default_factory=set)  # that it may still ask for
    workers_awaited: int = 0  # before so many are connected, what it submits waits


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
