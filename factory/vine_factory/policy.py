"""How many workers should there be: the size of the fleet, from the work that there is.

Events go in, actions come out: the driver launches, drains and cancels what it is told, and says what
the manager and the batch system say. These rules hold at every moment:

- Nothing is launched before the batch system has said which jobs of ours it has, which are adopted; and
  nobody is let go before the manager has said what work there is.
- Never more than `max_workers` are asked for, and no surplus is let go below `min_workers`.
- The fleet grows at once, and shrinks to what was needed at most in the last `idle_timeout_s`, so that
  it does not flap. Who waits in the queue goes first, then who is idle, then who works: the manager
  gives these no more tasks, and they end when theirs have. If work comes, those are kept first.
- Nobody who works is killed: a worker may come, and be given tasks, before we hear of it. So one that has
  not come is withdrawn first, and its job cancelled when the manager says that it will give it nothing.
- After young deaths and refusals launches pause, ever longer, so that what is broken does not spin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vine import config
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Resources
from vine_factory.fleet import COMING, LEAVING, UNUSED, Fleet, FleetWorker, JobState, WorkerState
from vine_factory.need import Need, workers_fed, workers_for
from vine_factory.pauses import Pauses

_SURPLUS = "not needed any more"
_LOST = "lost by the manager"
_SILENT = f"not heard by the manager {config.worker_start_max_s:g} s after its start"
_HELD = "held by the batch system"


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """What the user allows: how many workers, of which size, how fast, and how long there may be too many."""

    min_workers: int
    max_workers: int
    capacity: Resources
    idle_timeout_s: float
    workers_per_cycle: int | None = None
    cycle_s: float = config.factory_cycle_s
    tasks_per_worker: float | None = None  # for so many a worker is launched; it stays while it could be busy
    within_capacity: bool = False  # no more workers than the manager can keep busy


@dataclass(frozen=True, slots=True)
class Launch:
    """Submit workers of these names, together; say `submitted` or `refused`."""

    worker_ids: tuple[WorkerId, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """Have the manager give this worker no more tasks, and end it when it has none: see `draining`."""

    worker_id: WorkerId
    reason: str = _SURPLUS


@dataclass(frozen=True, slots=True)
class Keep:
    """This worker is not to be drained any more."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class Cancel:
    """Have the batch system end these jobs, and say `ended` when they are gone."""

    worker_ids: tuple[WorkerId, ...]
    reason: str


Action = Launch | Drain | Keep | Cancel


class FleetPolicy:
    """The fleet as we know it, and what to do about it next."""

    def __init__(self, limits: FleetLimits, name_prefix: str) -> None:
        self._limits = limits
        self._name_prefix = name_prefix
        self._launched = 0
        self._ticked_at = -math.inf
        self._begun = False  # The batch system has said what it has of ours ...
        self._demand: FleetDemand | None = None  # ... and the manager, last, what work there is.
        self._fleet = Fleet()
        self._need = Need()  # of those who are there
        self._worth_launching = 0
        self._pauses = Pauses()

    # --- events ----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        self._ticked_at = now
        if not self._begun:
            return []
        self._forgive(now)
        return [*self._give_up(now), *self._grow(now), *self._shrink(now), *self._cancel_withdrawn(now)]

    def change(self, limits: FleetLimits, now: float) -> list[Action]:
        """The user wants it otherwise from now on."""
        self._limits = limits
        self._take_in(now)
        return self.tick(now)

    def demand(self, demand: FleetDemand, now: float) -> list[Action]:
        """The manager says what work there is, and which workers are connected and idle."""
        self._demand = demand
        self._take_in(now)
        return self.tick(now)

    def _take_in(self, now: float) -> None:
        """See fleet and need as the manager's last word has them: it says nothing while nothing changes."""
        demand = self._demand
        if demand is None:
            return
        connected, idle = set(demand.connected), set(demand.idle)
        for worker in self._fleet:
            self._fleet.see(worker, worker.worker_id in connected, worker.worker_id in idle, now)
        needed, self._worth_launching = self._needed(demand), self._needed(demand, self._limits.tasks_per_worker)
        self._need.become(max(needed, self._worth_launching), now)

    def _needed(self, demand: FleetDemand, each: float | None = None) -> int:
        """How many workers could be busy; or are worth launching, where one is for so many tasks each."""
        limits, size = self._limits, self._limits.capacity
        at_work = self._fleet.within(WorkerState.CONNECTED, WorkerState.DRAINING)
        busy = sum(worker.idle_since is None for worker in at_work)
        waiting = workers_for(demand.waiting, size, each)
        everything = workers_for((*demand.waiting, *demand.running), size, each)
        # All work over the workers' size is too much where others' workers do a part of it; the
        # waiting work beside those of ours that are busy is too much where these have room left.
        needed = min(everything, busy + waiting)
        if limits.within_capacity and demand.tasks_at_once_max is not None:
            needed = min(needed, workers_fed(demand, size))
        # Whoever is here and idles does nothing for a client that waits for more.
        return max(needed, len(at_work) + demand.missing) if demand.missing else needed

    def listed(self, jobs: Mapping[WorkerId, JobState], now: float) -> list[Action]:
        """The batch system says what it has of ours: those that we do not know are adopted."""
        held, adopted = [], jobs.keys() - self._fleet.by_id.keys()
        for worker_id, job in jobs.items():
            worker = self._fleet.by_id.get(worker_id)
            if worker is None:
                state = WorkerState.STARTING if job is JobState.RUNNING else WorkerState.PENDING
                self._fleet.add(worker_id, state, now)
                worker = self._fleet.by_id[worker_id]
            self._fleet.list(worker, job, now)
            if job is JobState.HELD and worker.state in COMING:
                held.append(worker)
        if not self._begun:
            self._begun = True
            self._need.held(self._fleet.active, now)  # Whoever asked for them had a reason.
        if adopted:
            self._take_in(now)
        self._come_to_nothing(held, now)
        return [*self._cancelled(held, _HELD, now), *self.tick(now)]

    def submitted(self, worker_ids: Sequence[WorkerId], now: float) -> list[Action]:
        """The batch system has taken these."""
        self._pauses.accepted(len(worker_ids))
        for worker_id in worker_ids:
            worker = self._fleet.by_id.get(worker_id)
            if worker is not None and worker.state is WorkerState.SUBMITTING:
                worker.become(WorkerState.PENDING, now)
        return self.tick(now)

    def refused(self, worker_ids: Sequence[WorkerId], now: float, words: str = "refused") -> list[Action]:
        """The batch system has not taken these, and says why."""
        self._pauses.tell(words, now)
        gone = [worker for worker_id in worker_ids if (worker := self._fleet.remove(worker_id)) is not None]
        self._pauses.refused(len(worker_ids))
        for worker in gone:
            self._pauses.trouble(worker.launched_at, now)
        return self.tick(now)

    def ended(self, worker_id: WorkerId, now: float, words: str = "ended") -> list[Action]:
        """The batch system does not have this worker any more, whether it was asked to end or not; its last words."""
        worker = self._fleet.remove(worker_id)
        if worker is not None and worker.state not in LEAVING:
            young = worker.connected_at is None or now - worker.connected_at < config.worker_young_s
            if young:
                self._pauses.trouble(worker.launched_at, now)
                self._pauses.tell(f"worker {worker_id}: {words}", now)
        return self.tick(now)

    def next_deadline(self) -> float | None:
        """When `tick` may have something to do though nothing else happens."""
        within, fleet = self._fleet.within, self._fleet
        gone = within(WorkerState.MISSING, WorkerState.LEFT)
        due: list[float | None] = [worker.state_since + config.manager_lost_after_s for worker in gone]
        due += [worker.state_since + config.worker_start_max_s for worker in within(WorkerState.STARTING)]
        lacking = self._allowed(self._worth_launching) - fleet.active
        if self._begun and lacking > 0 and len(fleet) < self._limits.max_workers:
            due.append(self._pauses.over_at(self._limits.workers_per_cycle, self._limits.cycle_s))
        if self._begun and fleet.active > self._wanted:
            due.append(self._need.falls_at(self._limits.idle_timeout_s))
        # What could have been done at the last tick was done then, or hangs on something else.
        return min((time_s for time_s in due if time_s is not None and time_s > self._ticked_at), default=None)

    # --- what is asked about us ------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """In the queue, or on their way there."""
        return len(self._fleet.within(WorkerState.SUBMITTING, WorkerState.PENDING))

    @property
    def starting(self) -> int:
        return len(self._fleet.within(WorkerState.STARTING))

    @property
    def running(self) -> int:
        return len(self._fleet.within(WorkerState.CONNECTED))

    @property
    def draining(self) -> tuple[WorkerId, ...]:
        """Those that the manager is to give no more tasks, and to end when they have none, if it has them."""
        return tuple(sorted(worker.worker_id for worker in self._fleet.within(*UNUSED)))

    @property
    def backing_off(self) -> bool:
        """Whether the last launches came to nothing and no other has proved since that workers can live."""
        return self._pauses.troubles > 0

    @property
    def trouble(self) -> str:
        """What went wrong last, until a worker that was launched after it has grown old."""
        again = f" (tried again {self._pauses.length_s:g} s later)" if self.backing_off else ""
        return self._pauses.words + again

    # --- how it is decided -----------------------------------------------------------------------

    @property
    def _wanted(self) -> int:
        return self._allowed(self._need.now)

    def _allowed(self, number: int) -> int:
        return max(self._limits.min_workers, min(self._limits.max_workers, number))

    def _grow(self, now: float) -> list[Action]:
        """Keep who drains, then launch what else is wanted and allowed."""
        kept = self._fleet.within(WorkerState.DRAINING)[: max(0, self._wanted - self._fleet.active)]
        for worker in kept:
            worker.become(WorkerState.CONNECTED, now)
        actions: list[Action] = [Keep(worker.worker_id) for worker in kept]
        limits = self._limits
        room = limits.max_workers - len(self._fleet)  # Those that leave still occupy their place.
        unanswered = len(self._fleet.within(WorkerState.SUBMITTING))
        allowed = self._pauses.allowed(unanswered, limits.workers_per_cycle, limits.cycle_s, now)
        number = min(room, self._allowed(self._worth_launching) - self._fleet.active, allowed)
        if number > 0:
            self._pauses.launched(number, limits.cycle_s, now)
            actions.append(Launch(tuple(self._new_worker(now) for _ in range(number))))
        return actions

    def _new_worker(self, now: float) -> WorkerId:
        self._launched += 1
        worker_id = WorkerId(f"{self._name_prefix}-{self._launched}")
        self._fleet.add(worker_id, WorkerState.SUBMITTING, now)
        return worker_id

    def _shrink(self, now: float) -> list[Action]:
        """Let go what has been too much for long enough, or is more than there may be."""
        peak = self._need.peak(now, self._limits.idle_timeout_s)
        most = self._allowed(peak) if self._demand is not None else self._limits.max_workers
        leaving = self._fleet.release_order()[: max(0, self._fleet.active - most)]
        leaving = [worker for worker in leaving if worker.state is not WorkerState.SUBMITTING]  # They go when answered.
        for worker in leaving:
            if worker.state is WorkerState.CONNECTED:
                worker.become(WorkerState.DRAINING, now)
            else:
                self._withdraw(worker, _SURPLUS, now)
        return [Drain(worker.worker_id) for worker in leaving]

    def _withdraw(self, worker: FleetWorker, reason: str, now: float) -> None:
        worker.become(WorkerState.WITHDRAWN, now)
        worker.let_go_for = reason

    def _cancel_withdrawn(self, now: float) -> list[Action]:
        """Cancel those of which the manager has heard that they are to be given nothing."""
        heard = () if self._demand is None else set(self._demand.draining)
        found: dict[str, list[WorkerId]] = {}
        for worker in self._fleet.within(WorkerState.WITHDRAWN):
            if worker.worker_id in heard:
                worker.become(WorkerState.CANCELLED, now)
                found.setdefault(worker.let_go_for, []).append(worker.worker_id)
        return [Cancel(tuple(worker_ids), reason) for reason, worker_ids in found.items()]

    def _give_up(self, now: float) -> list[Action]:
        """Cancel those that the manager lost so long ago that they would have ended if they could, or never saw."""
        lost = [
            worker
            for worker in self._fleet.within(WorkerState.MISSING, WorkerState.LEFT)
            if now >= worker.state_since + config.manager_lost_after_s
        ]
        silent = [
            worker
            for worker in self._fleet.within(WorkerState.STARTING)
            if now >= worker.state_since + config.worker_start_max_s
        ]
        for worker in silent:
            self._withdraw(worker, _SILENT, now)
        self._come_to_nothing(silent, now)
        self._tell(silent, _SILENT, now)
        return [*self._cancelled(lost, _LOST, now), *(Drain(worker.worker_id, _SILENT) for worker in silent)]

    def _cancelled(self, workers: Sequence[FleetWorker], reason: str, now: float) -> list[Action]:
        for worker in workers:
            worker.become(WorkerState.CANCELLED, now)
        self._tell(workers, reason, now)
        return [Cancel(tuple(worker.worker_id for worker in workers), reason)] if workers else []

    def _come_to_nothing(self, workers: Sequence[FleetWorker], now: float) -> None:
        """These are as good as dead young."""
        for worker in workers:
            self._pauses.trouble(worker.launched_at, now)

    def _tell(self, workers: Sequence[FleetWorker], reason: str, now: float) -> None:
        if workers:
            more = f" and {len(workers) - 1} more" if len(workers) > 1 else ""
            self._pauses.tell(f"worker {workers[0].worker_id}{more}: {reason}", now)

    def _forgive(self, now: float) -> None:
        """Forget trouble once a worker that was launched after it has grown old."""
        for worker in self._fleet.within(WorkerState.CONNECTED):
            assert worker.connected_at is not None, "it is connected"
            if now - worker.connected_at >= config.worker_young_s:
                self._pauses.forgive(worker.launched_at)
