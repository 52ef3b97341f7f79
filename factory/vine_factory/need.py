"""How many workers could be busy: with the work that there is now, and at most in the last while."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, Resources, WorkDemand

_ROUNDING = 1e-9  # Shares such as 0.1 of a core add up to a little more or less than a whole.


class Need:
    """A number that changes with time, and the largest that it has been within a window."""

    def __init__(self) -> None:
        self.now = 0
        # Earlier values that may still be the largest: each with when it ended, ever later and ever smaller.
        self._before: deque[tuple[float, int]] = deque()

    def become(self, value: int, now: float) -> None:
        if value != self.now:
            self.held(self.now, now)
            self.now = value

    def held(self, value: int, now: float) -> None:
        """So many were needed until now."""
        while self._before and self._before[-1][1] <= value:
            self._before.pop()
        self._before.append((now, value))

    def peak(self, now: float, window_s: float) -> int:
        """The largest value that held at some time within the window before now."""
        while self._before and self._before[0][0] + window_s <= now:
            self._before.popleft()
        return max(self.now, self._before[0][1]) if self._before else self.now

    def falls_at(self, window_s: float) -> float | None:
        """When the peak may become less though nothing else changes."""
        return self._before[0][0] + window_s if self._before else None


def workers_for(work: Sequence[WorkDemand], capacity: Resources, tasks_each: float | None = None) -> int:
    """How many workers of this size could be busy with the work at once; `tasks_each` are one worker's, if given."""
    load = 0.0
    for demand in work:
        fitting = tasks_per_worker(demand.request, capacity)
        if fitting:
            load += demand.tasks / (fitting if tasks_each is None else tasks_each)
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


def workers_fed(demand: FleetDemand, size: Resources) -> int:
    """How many workers the manager can keep busy: it measured how many tasks at once it can."""
    work = [each for each in (*demand.waiting, *demand.running) if tasks_per_worker(each.request, size)]
    tasks = sum(each.tasks for each in work)
    assert demand.tasks_at_once_max is not None, "the caller has looked"
    if tasks <= demand.tasks_at_once_max:
        return workers_for(work, size)
    share = demand.tasks_at_once_max / tasks
    return max(1, int(workers_for(work, size) * share))
