"""What is a factory in a run where things break: the true policy, told of what becomes of the workers it launches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.simulator.faults.process import Process
from vine.names import WorkerId
from vine.wire import messages as wire
from vine_factory.fleet import JobState
from vine_factory.policy import Action, Cancel, FleetLimits, FleetPolicy, Launch

_LAUNCH_S = 0.3  # From its launch until a worker says hello.


class FaultyFactory:
    """One factory process. `start` and `stop` are its launcher's."""

    def __init__(
        self,
        name: str,
        process: Process,
        limits: FleetLimits,
        start: Callable[[str], None],
        stop: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.process = process
        self.fleet: set[str] = set()  # launched, and not ended
        self._limits = limits
        self._policy = FleetPolicy(limits, name)
        self._start = start
        self._stop = stop
        self._look_at = float("inf")
        self._told: wire.FactoryStatus | None = None
        self.say: Callable[[wire.FromFactory], None] = lambda message: None

    def hello(self) -> wire.FactoryHello:
        limits = self._limits
        return wire.FactoryHello(self.name, "simulated", limits.min_workers, limits.max_workers, limits.capacity)

    def begin(self) -> None:
        self._list()

    def _list(self) -> None:
        """What its batch system has of it: all that was launched runs at once."""
        jobs = {WorkerId(worker): JobState.RUNNING for worker in sorted(self.fleet)}
        self._do(self._policy.listed(jobs, self.process.now()))

    def hear(self, message: wire.ToFactory) -> None:
        if isinstance(message, wire.FleetDemand):
            self._do(self._policy.demand(message, self.process.now()))

    def ended(self, worker: str) -> None:
        """A worker of its has ended, asked to or not."""
        self.fleet.discard(worker)
        self._do(self._policy.ended(WorkerId(worker), self.process.now()))

    def _look(self, due: float) -> None:
        if due == self._look_at:  # Else an earlier one was arranged instead.
            self._look_at = float("inf")
            self._do(self._policy.tick(self.process.now()))

    def _do(self, todo: list[Action]) -> None:
        for action in todo:
            if isinstance(action, Launch):
                self.fleet.update(action.worker_ids)
                for worker_id in action.worker_ids:
                    self.process.after(_LAUNCH_S, partial(self._start, worker_id))
                self._do(self._policy.submitted(action.worker_ids, self.process.now()))
                self._list()
            elif isinstance(action, Cancel):
                for worker_id in action.worker_ids:
                    self.process.after(0, partial(self._stop, worker_id, action.reason))
        assert len(self.fleet) <= self._limits.max_workers, f"{len(self.fleet)} workers were launched"
        policy = self._policy
        status = wire.FactoryStatus(policy.starting, policy.running, pending=policy.pending, draining=policy.draining)
        if status != self._told:
            self._told = status
            self.say(status)
        due = self._policy.next_deadline()
        if due is not None and due < self._look_at:
            self._look_at = due
            self.process.at(due, partial(self._look, due))
