"""What would one do who sees the load, and pays for nothing else: ceil(load / slots) workers, set anew each minute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.fleet.load import Day
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine_factory.fleet import JobState
from vine_factory.policy import Action, Cancel, Drain, Keep, Launch

STEP_S = 60.0


class KnowingPolicy:
    """Lets go at each step of all that is too much, first of whom has not come, then of the idle; tasks do not move."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._coming: dict[WorkerId, None] = {}
        self._there: dict[WorkerId, None] = {}
        self._draining: dict[WorkerId, None] = {}
        self._idle: set[WorkerId] = set()
        self._load = 0
        self._next_step = 0.0
        self._launched = 0

    def listed(self, jobs: Mapping[WorkerId, JobState], now: float) -> list[Action]:
        return []

    def submitted(self, worker_ids: Sequence[WorkerId], now: float) -> list[Action]:
        return []

    def demand(self, demand: FleetDemand, now: float) -> list[Action]:
        self._load = sum(each.tasks for each in (*demand.waiting, *demand.running))
        self._idle = set(demand.idle)
        for worker_id in demand.connected:
            if worker_id in self._coming:
                del self._coming[worker_id]
                self._there[worker_id] = None
        return self.tick(now)

    def ended(self, worker_id: WorkerId, now: float) -> list[Action]:
        for some in (self._coming, self._there, self._draining):
            some.pop(worker_id, None)
        return []

    def tick(self, now: float) -> list[Action]:
        if now < self._next_step:
            return []
        self._next_step = now + STEP_S
        wanted = min(self._day.most_workers, math.ceil(self._load / self._day.slots))
        lacking = wanted - len(self._coming) - len(self._there)
        return self._more(lacking) if lacking > 0 else self._fewer(-lacking)

    def _more(self, number: int) -> list[Action]:
        kept = list(self._draining)[:number]
        for worker_id in kept:
            del self._draining[worker_id]
            self._there[worker_id] = None
        there = len(self._there) + len(self._coming) + len(self._draining)
        new = [self._new() for _ in range(min(number - len(kept), self._day.most_workers - there))]
        self._coming.update(dict.fromkeys(new))
        return [*map(Keep, kept), *([Launch(tuple(new))] if new else [])]

    def _new(self) -> WorkerId:
        self._launched += 1
        return WorkerId(f"w-1-{self._launched}")

    def _fewer(self, number: int) -> list[Action]:
        cancelled = list(self._coming)[::-1][:number]
        by_idleness = sorted(self._there, key=lambda worker_id: worker_id not in self._idle)
        drained = by_idleness[: number - len(cancelled)]
        for worker_id in drained:
            del self._there[worker_id]
            self._draining[worker_id] = None
        for worker_id in cancelled:
            del self._coming[worker_id]
        actions: list[Action] = [Cancel(tuple(cancelled), "known")] if cancelled else []
        return [*actions, *map(Drain, drained)]
