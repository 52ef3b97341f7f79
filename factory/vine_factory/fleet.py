"""Which workers are ours, and how far has each come between its submission and its end?"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from vine.names import WorkerId


class JobState(enum.Enum):
    """What a batch system says of a job that it has; one that it does not have is no more."""

    PENDING = "pending"  # in the queue
    RUNNING = "running"
    HELD = "held"  # it will not run unless somebody mends something


class WorkerState(enum.Enum):
    SUBMITTING = "submitting"  # the batch system has not answered yet
    PENDING = "pending"  # in its queue
    STARTING = "starting"  # its job runs, and the manager has not seen it
    CONNECTED = "connected"
    DRAINING = "draining"  # the manager gives it no more tasks, and ends it when it has none
    LEFT = "left"  # ... which it has done: its job is about to end
    MISSING = "missing"  # the manager has lost it, but its job has not ended
    WITHDRAWN = "withdrawn"  # it is cancelled when the manager has heard that it is to be given nothing if it comes
    CANCELLED = "cancelled"  # the batch system was asked to end its job


_AT_BATCH_SYSTEM = {WorkerState.PENDING, WorkerState.STARTING, WorkerState.CONNECTED, WorkerState.CANCELLED}

_LEGAL = {
    WorkerState.SUBMITTING: _AT_BATCH_SYSTEM,
    WorkerState.PENDING: {
        WorkerState.STARTING, WorkerState.CONNECTED, WorkerState.WITHDRAWN, WorkerState.CANCELLED,
    },
    WorkerState.STARTING: {
        WorkerState.PENDING, WorkerState.CONNECTED, WorkerState.WITHDRAWN, WorkerState.CANCELLED,
    },
    WorkerState.CONNECTED: {WorkerState.DRAINING, WorkerState.MISSING},
    WorkerState.DRAINING: {WorkerState.CONNECTED, WorkerState.LEFT},
    WorkerState.LEFT: {WorkerState.CONNECTED, WorkerState.CANCELLED},
    WorkerState.MISSING: {WorkerState.PENDING, WorkerState.CONNECTED, WorkerState.CANCELLED},
    WorkerState.WITHDRAWN: {WorkerState.DRAINING, WorkerState.CANCELLED},
    WorkerState.CANCELLED: set(),
}  # fmt: skip

COMING = (WorkerState.SUBMITTING, WorkerState.PENDING, WorkerState.STARTING)
LEAVING = (WorkerState.DRAINING, WorkerState.LEFT, WorkerState.WITHDRAWN, WorkerState.CANCELLED)
UNUSED = (WorkerState.DRAINING, WorkerState.WITHDRAWN, WorkerState.CANCELLED)  # The manager gives these no tasks.


@dataclass(slots=True)
class FleetWorker:
    """One worker of ours, from its submission, or its adoption, until its end."""

    worker_id: WorkerId
    launched_at: float
    state: WorkerState
    state_since: float = field(init=False)
    connected_at: float | None = None  # since when the manager knows it
    idle_since: float | None = None  # None while it works
    let_go_for: str = ""  # why it was withdrawn

    def __post_init__(self) -> None:
        self.state_since = self.launched_at

    def become(self, state: WorkerState, now: float) -> None:
        assert state in _LEGAL[self.state], f"{self.worker_id}: {self.state} cannot become {state}"
        self.state, self.state_since = state, now
        if state is WorkerState.CONNECTED and self.connected_at is None:
            self.connected_at = now


class Fleet:
    """All of our workers by name."""

    def __init__(self) -> None:
        self.by_id: dict[WorkerId, FleetWorker] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[FleetWorker]:
        return iter(self.by_id.values())

    def add(self, worker_id: WorkerId, state: WorkerState, now: float) -> None:
        assert worker_id not in self.by_id, "a worker's name was used twice"
        self.by_id[worker_id] = FleetWorker(worker_id, now, state)

    def remove(self, worker_id: WorkerId) -> FleetWorker | None:
        return self.by_id.pop(worker_id, None)

    def within(self, *states: WorkerState) -> list[FleetWorker]:
        return [worker for worker in self if worker.state in states]

    @property
    def active(self) -> int:
        """Those that are there or on their way, and are to stay."""
        return len(self) - len(self.within(*LEAVING))

    def release_order(self) -> list[FleetWorker]:
        """Whom to let go first: who holds no cache yet, the latest first; who has been idle longest; who works."""
        coming = sorted(self.within(*COMING), key=lambda worker: -worker.launched_at)
        connected = self.within(WorkerState.CONNECTED)
        idle = [worker for worker in connected if worker.idle_since is not None]
        busy = [worker for worker in connected if worker.idle_since is None]
        idle.sort(key=lambda worker: worker.idle_since or 0.0)
        busy.sort(key=lambda worker: -worker.launched_at)
        return [*coming, *idle, *busy]

    def see(self, worker: FleetWorker, connected: bool, idle: bool, now: float) -> None:
        """Take in what the manager says of one worker."""
        if worker.state is WorkerState.CANCELLED:
            return
        known = worker.state in (WorkerState.CONNECTED, WorkerState.DRAINING)
        if connected and worker.state is WorkerState.WITHDRAWN:
            worker.become(WorkerState.DRAINING, now)  # It came before the manager had heard: it may have tasks.
        elif connected and not known:
            worker.become(WorkerState.CONNECTED, now)
        elif known and not connected:
            drained = worker.state is WorkerState.DRAINING
            worker.become(WorkerState.LEFT if drained else WorkerState.MISSING, now)
        if not (connected and idle):
            worker.idle_since = None
        elif worker.idle_since is None:
            worker.idle_since = now

    def list(self, worker: FleetWorker, job: JobState, now: float) -> None:
        """Take in what the batch system says of one job."""
        if job is JobState.PENDING and worker.state in (WorkerState.STARTING, WorkerState.MISSING):
            worker.become(WorkerState.PENDING, now)  # It was put back into the queue.
        elif job is JobState.RUNNING and worker.state is WorkerState.PENDING:
            worker.become(WorkerState.STARTING, now)
