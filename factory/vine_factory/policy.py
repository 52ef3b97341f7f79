"""How many workers should there be: the size of the fleet, from the work that there is.

Events go in, actions come out: the driver launches and releases what it is told, and says which
workers have ended. Three rules hold at every moment: never more than `max_workers` exist, no
release of idle workers leaves fewer than `min_workers`, and nobody is released who works. The
fleet grows at once and shrinks late (after `idle_timeout_s` of surplus), so that bursts do not make
it flap. Workers that die young are replaced ever later, so that what is broken does not spin.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from vine import config
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, Resources, WorkDemand

_ROUNDING = 1e-9  # Shares such as 0.1 of a core add up to a little more or less than a whole.


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """What the user allows: how many workers, of which size, and how long one may idle."""

    min_workers: int
    max_workers: int
    capacity: Resources
    idle_timeout_s: float


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a worker of this name; if that cannot be done, say that it has ended."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class Release:
    """Ask this worker to end, and say so when it has."""

    worker_id: WorkerId
    reason: str


Action = Launch | Release


class WorkerState(enum.Enum):
    STARTING = "starting"  # launched, and not yet seen by the manager
    CONNECTED = "connected"
    MISSING = "missing"  # the manager has lost it, but its process has not ended
    LEAVING = "leaving"  # released, and not yet gone


_LEGAL = {
    WorkerState.STARTING: {WorkerState.CONNECTED, WorkerState.LEAVING},
    WorkerState.CONNECTED: {WorkerState.MISSING, WorkerState.LEAVING},
    WorkerState.MISSING: {WorkerState.CONNECTED, WorkerState.LEAVING},
    WorkerState.LEAVING: set(),
}


@dataclass(slots=True)
class _Worker:
    """One worker of ours, from its launch until its end."""

    worker_id: WorkerId
    launched_at: float
    state: WorkerState = WorkerState.STARTING
    state_since: float = 0.0
    idle_since: float | None = 0.0  # None while it works; a starting worker idles

    def become(self, state: WorkerState, now: float) -> None:
        assert state in _LEGAL[self.state], f"{self.worker_id}: {self.state} cannot become {state}"
        self.state, self.state_since = state, now


class FleetPolicy:
    """The fleet as we know it, and what to do about it next."""

    def __init__(self, limits: FleetLimits, name_prefix: str) -> None:
        assert 0 <= limits.min_workers <= limits.max_workers, "the options were not checked"
        self._limits = limits
        self._name_prefix = name_prefix
        self._launched = 0
        self._fleet: dict[WorkerId, _Worker] = {}
        self._needed = 0  # workers that the known work could use
        self._surplus_since: float | None = None
        self._young_deaths = 0  # in a row
        self._backed_off_at = -math.inf
        self._launch_not_before = -math.inf

    # --- events ----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Action]:
        """Time has passed; the first call launches `min_workers`."""
        self._forgive(now)
        return [*self._give_up_missing(now), *self._grow(now), *self._shrink(now)]

    def demand(self, demand: FleetDemand, now: float) -> list[Action]:
        """The manager says what work there is, and which workers are connected and idle."""
        connected, idle = set(demand.connected), set(demand.idle)
        for worker in self._fleet.values():
            self._see(worker, worker.worker_id in connected, worker.worker_id in idle, now)
        busy = sum(worker.idle_since is None for worker in self._fleet.values())
        waiting = workers_for(demand.waiting, self._limits.capacity)
        everything = workers_for((*demand.waiting, *demand.running), self._limits.capacity)
        # All work over the workers' size is too much where others' workers do a part of it; the
        # waiting work beside those of ours that are busy is too much where these have room left.
        self._needed = min(everything, busy + waiting)
        return self.tick(now)

    def ended(self, worker_id: WorkerId, now: float) -> list[Action]:
        """A worker has ended, whether asked to or not, or could not be launched at all."""
        worker = self._fleet.pop(worker_id, None)
        if worker is None:
            return []
        died_young = now - worker.launched_at < config.worker_young_s
        if died_young and worker.state is not WorkerState.LEAVING:
            self._back_off(worker, now)
        return self.tick(now)

    def next_deadline(self) -> float | None:
        """When `tick` may have something to do though nothing else happens."""
        deadlines = [worker.state_since + config.manager_lost_after_s for worker in self._in(WorkerState.MISSING)]
        if self._active() < self._wanted() and len(self._fleet) < self._limits.max_workers:
            deadlines.append(self._launch_not_before)
        if self._surplus_since is not None:
            deadlines += [self._release_time(worker) for worker in self._idlers()]
        return min(deadlines, default=None)

    # --- what is asked about us ------------------------------------------------------------------

    @property
    def starting(self) -> int:
        return len(self._in(WorkerState.STARTING))

    @property
    def running(self) -> int:
        return len(self._in(WorkerState.CONNECTED))

    @property
    def backing_off(self) -> bool:
        """Whether the last workers died young and no other has proved since that workers can live."""
        return self._young_deaths > 0

    # --- how it is decided -----------------------------------------------------------------------

    def _see(self, worker: _Worker, connected: bool, idle: bool, now: float) -> None:
        """Take in what the manager says of one worker."""
        if worker.state is WorkerState.LEAVING:
            return
        if connected and worker.state is not WorkerState.CONNECTED:
            worker.become(WorkerState.CONNECTED, now)
        elif not connected and worker.state is WorkerState.CONNECTED:
            worker.become(WorkerState.MISSING, now)
        if connected and not idle:
            worker.idle_since = None
        elif worker.idle_since is None:
            worker.idle_since = now

    def _grow(self, now: float) -> list[Action]:
        """Launch what is wanted and allowed."""
        if now < self._launch_not_before:
            return []
        room = self._limits.max_workers - len(self._fleet)  # Those that leave still occupy their place.
        actions: list[Action] = []
        for _ in range(min(room, self._wanted() - self._active())):
            self._launched += 1
            worker_id = WorkerId(f"{self._name_prefix}-{self._launched}")
            self._fleet[worker_id] = _Worker(worker_id, now, state_since=now, idle_since=now)
            actions.append(Launch(worker_id))
        return actions

    def _shrink(self, now: float) -> list[Action]:
        """Release surplus workers that have been idle, and in surplus, for long enough."""
        surplus = self._active() - self._wanted()
        if surplus <= 0:
            self._surplus_since = None
            return []
        if self._surplus_since is None:
            self._surplus_since = now
        due = sorted((worker for worker in self._idlers() if self._release_time(worker) <= now), key=_longest_idle)
        leaving = due[:surplus]
        for worker in leaving:
            worker.become(WorkerState.LEAVING, now)
        if len(leaving) == surplus:
            self._surplus_since = None
        return [Release(worker.worker_id, "idle") for worker in leaving]

    def _give_up_missing(self, now: float) -> list[Action]:
        """Release workers that the manager lost so long ago that they would have ended if they could."""
        lost = [
            worker
            for worker in self._in(WorkerState.MISSING)
            if now >= worker.state_since + config.manager_lost_after_s
        ]
        for worker in lost:
            worker.become(WorkerState.LEAVING, now)
        return [Release(worker.worker_id, "lost by the manager") for worker in lost]

    def _back_off(self, worker: _Worker, now: float) -> None:
        """Hold launches back after a young death; a wave that was launched together doubles the pause once."""
        if worker.launched_at > self._backed_off_at:
            self._young_deaths += 1
            self._backed_off_at = now
        pause_s = config.launch_backoff_s * 2.0 ** min(self._young_deaths - 1, 30)  # The bound avoids an overflow.
        self._launch_not_before = max(self._launch_not_before, now + min(pause_s, config.launch_backoff_max_s))

    def _forgive(self, now: float) -> None:
        """Forget young deaths once a worker that was launched after them has grown old."""
        for worker in self._in(WorkerState.CONNECTED):
            if worker.launched_at > self._backed_off_at and now - worker.launched_at >= config.worker_young_s:
                self._young_deaths = 0

    def _wanted(self) -> int:
        return max(self._limits.min_workers, min(self._limits.max_workers, self._needed))

    def _active(self) -> int:
        return len(self._fleet) - len(self._in(WorkerState.LEAVING))

    def _in(self, state: WorkerState) -> list[_Worker]:
        return [worker for worker in self._fleet.values() if worker.state is state]

    def _idlers(self) -> list[_Worker]:
        return [
            worker
            for worker in (*self._in(WorkerState.STARTING), *self._in(WorkerState.CONNECTED))
            if worker.idle_since is not None
        ]

    def _release_time(self, worker: _Worker) -> float:
        assert self._surplus_since is not None and worker.idle_since is not None, "it is neither surplus nor idle"
        return max(self._surplus_since, worker.idle_since) + self._limits.idle_timeout_s


def _longest_idle(worker: _Worker) -> tuple[bool, float]:
    """Order of release: those that hold no cache yet, then those that have been idle longest."""
    assert worker.idle_since is not None, "only idle workers are released"
    return worker.state is WorkerState.CONNECTED, worker.idle_since


def workers_for(work: Sequence[WorkDemand], capacity: Resources) -> int:
    """How many workers of this size could be busy with the work at once."""
    load = 0.0
    for demand in work:
        fitting = tasks_per_worker(demand.request, capacity)
        if fitting:
            load += demand.tasks / fitting
    return math.ceil(load - _ROUNDING)


def tasks_per_worker(request: Request, capacity: Resources) -> int:
    """How many such tasks fit a worker at once; 0 for one that no worker of this size can take."""
    pairs = (
        (request.cores, capacity.cores),
        (request.memory_mb, capacity.memory_mb),
        (request.disk_mb, capacity.disk_mb),
    )
    fits = [math.floor(have / asked + _ROUNDING) for asked, have in pairs if asked]
    if request.gpus:
        fits.append(_tasks_on_gpus(request.gpus, capacity.gpus))
    return min(fits, default=1)  # A task that names nothing is given the whole worker.


def _tasks_on_gpus(asked: float, devices: float) -> int:
    """Who asks for less than one device has a share of one: what is left over of two does not make up another."""
    if asked < 1:
        return int(devices) * math.floor(1 / asked + _ROUNDING)
    return math.floor(devices / asked + _ROUNDING)
