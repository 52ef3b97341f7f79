"""What does a policy make of a day: told by a manager and a batch system that are simulated."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from benchmarks.fleet.load import Day
from benchmarks.fleet.outcome import Outcome
from benchmarks.simulator.clock import Clock
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, WorkDemand
from vine_factory.fleet import JobState
from vine_factory.policy import Action, Cancel, Drain, Keep, Launch

ONE_CORE = Request(cores=1)
LOOK_S = 60.0  # between two looks at the batch system


@dataclass(slots=True)
class _Worker:
    launched_s: float
    connected: bool = False
    draining: bool = False
    running: int = 0


class Policy(Protocol):
    """What is used of `vine_factory.policy.FleetPolicy`, the true one."""

    def listed(self, jobs: Mapping[WorkerId, JobState], now: float) -> list[Action]: ...
    def demand(self, demand: FleetDemand, now: float) -> list[Action]: ...
    def tick(self, now: float) -> list[Action]: ...
    def submitted(self, worker_ids: Sequence[WorkerId], now: float) -> list[Action]: ...
    def ended(self, worker_id: WorkerId, now: float) -> list[Action]: ...


class FollowedFleet:
    """Tasks go to the emptiest worker that is not let go; the manager tells its news so often as it is said here."""

    def __init__(self, day: Day, policy: Policy, news_s: float) -> None:
        self._day, self._policy, self._news_s = day, policy, news_s
        self._outcome = Outcome()
        self._clock = Clock()
        self._workers: dict[WorkerId, _Worker] = {}
        self._by_load: list[dict[WorkerId, None]] = [{} for _ in range(day.slots + 1)]  # who is open, by what it runs
        self._waiting: deque[tuple[float, float]] = deque()
        self._running = 0
        self._left = len(day.tasks)
        self._told: FleetDemand | None = None

    def run(self) -> Outcome:
        for came, run_s in self._day.tasks:
            self._clock.at(came, partial(self._come, came, run_s))
        self._look()
        self._tell_news()
        self._clock.run(until=lambda: not self._left and not self._workers)
        return self._outcome

    # --- tasks ---

    def _come(self, came: float, run_s: float) -> None:
        self._waiting.append((came, run_s))
        self._start_tasks()

    def _start_tasks(self) -> None:
        while self._waiting:
            worker_id = next((next(iter(some)) for some in self._by_load[:-1] if some), None)
            if worker_id is None:
                return
            came, run_s = self._waiting.popleft()
            self._outcome.waits_s.append(self._clock.now() - came)
            self._change_load(worker_id, 1)
            self._clock.after(run_s, partial(self._task_ends, worker_id))

    def _task_ends(self, worker_id: WorkerId) -> None:
        self._left -= 1
        self._outcome.ended_s = self._clock.now()
        self._change_load(worker_id, -1)
        self._start_tasks()

    def _change_load(self, worker_id: WorkerId, change: int) -> None:
        worker = self._workers[worker_id]
        self._by_load[worker.running].pop(worker_id, None)
        worker.running += change
        self._running += change
        if not worker.draining:
            self._by_load[worker.running][worker_id] = None

    # --- what the manager does ---

    def _tell_news(self) -> None:
        idle = [name for name, each in self._workers.items() if each.connected and each.draining and not each.running]
        for worker_id in idle:
            self._end(worker_id)
        connected = {name: each for name, each in self._workers.items() if each.connected}
        demand = FleetDemand(
            waiting=(WorkDemand(ONE_CORE, len(self._waiting)),) if self._waiting else (),
            running=(WorkDemand(ONE_CORE, self._running),) if self._running else (),
            connected=tuple(connected),
            idle=tuple(name for name, each in connected.items() if not each.running),
            draining=tuple(name for name, each in self._workers.items() if each.draining),
        )
        if demand != self._told:
            self._told = demand
            self._do(self._policy.demand(demand, self._clock.now()))
        else:
            self._do(self._policy.tick(self._clock.now()))
        self._clock.after(self._news_s, self._tell_news)

    # --- what the batch system does ---

    def _look(self) -> None:
        jobs = {name: JobState.RUNNING if each.connected else JobState.PENDING for name, each in self._workers.items()}
        self._do(self._policy.listed(jobs, self._clock.now()))
        self._clock.after(LOOK_S, self._look)

    def _connect(self, worker_id: WorkerId) -> None:
        if worker_id in self._workers:  # It may have been withdrawn.
            worker = self._workers[worker_id]
            worker.connected = True
            if not worker.draining:
                self._by_load[0][worker_id] = None
                self._start_tasks()

    def _end(self, worker_id: WorkerId) -> None:
        worker = self._workers.pop(worker_id)
        assert not worker.running, "a task was lost"
        self._by_load[0].pop(worker_id, None)
        self._outcome.lived(worker.launched_s, self._clock.now())
        self._do(self._policy.ended(worker_id, self._clock.now()))

    # --- what the policy asks for ---

    def _do(self, actions: list[Action]) -> None:
        wishes: dict[type[Action], Any] = {
            Launch: self._launch, Drain: self._drain, Keep: self._keep, Cancel: self._cancel,
        }  # fmt: skip
        for action in actions:
            wishes[type(action)](action)

    def _launch(self, action: Launch) -> None:
        for worker_id in action.worker_ids:
            self._workers[worker_id] = _Worker(self._clock.now())
            self._clock.after(self._day.startup_s, partial(self._connect, worker_id))
        self._outcome.launches += len(action.worker_ids)
        self._outcome.most_workers = max(self._outcome.most_workers, len(self._workers))
        self._do(self._policy.submitted(action.worker_ids, self._clock.now()))

    def _drain(self, action: Drain) -> None:
        worker = self._workers[action.worker_id]
        worker.draining = True
        self._by_load[worker.running].pop(action.worker_id, None)

    def _keep(self, action: Keep) -> None:
        worker = self._workers[action.worker_id]
        worker.draining = False
        self._by_load[worker.running][action.worker_id] = None
        self._start_tasks()

    def _cancel(self, action: Cancel) -> None:
        for worker_id in action.worker_ids:
            self._end(worker_id)
