"""What would one do who knows the load: keep ceil(load / slots) workers, set anew each minute."""

from __future__ import annotations

import heapq
import math
from collections import deque

from benchmarks.fleet.load import Day
from benchmarks.fleet.outcome import Outcome

STEP_S = 60.0


class Oracle:
    """Its workers come as late as anybody's, and are let go at once: tasks move to those that stay, at no cost."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._outcome = Outcome()
        self._asked: deque[float] = deque()  # when each worker was asked for, the oldest first
        self._waiting: deque[tuple[float, float]] = deque()
        self._running: list[float] = []  # heap of when each ends

    def run(self) -> Outcome:
        coming = deque(self._day.tasks)
        now, next_step = 0.0, 0.0
        while coming or self._waiting or self._running or self._asked:
            due = [next_step]
            due += [coming[0][0]] if coming else []
            due += [self._running[0]] if self._running else []
            due += [each + self._day.startup_s for each in self._coming_workers(now)]
            now = min(due)
            while self._running and self._running[0] <= now:
                self._outcome.ended_s = heapq.heappop(self._running)
            while coming and coming[0][0] <= now:
                self._waiting.append(coming.popleft())
            if now >= next_step:
                self._set_fleet(now)
                next_step = now + STEP_S
            self._start_tasks(now)
        return self._outcome

    def _coming_workers(self, now: float) -> list[float]:
        """The first of those that are asked for and not there: ages are in order."""
        for asked in self._asked:
            if asked + self._day.startup_s > now:
                return [asked]
        return []

    def _set_fleet(self, now: float) -> None:
        load = len(self._waiting) + len(self._running)
        wanted = min(self._day.most_workers, math.ceil(load / self._day.slots))
        while len(self._asked) > wanted:
            self._outcome.lived(self._asked.pop(), now)  # The latest: those that are not there yet cost least.
        while len(self._asked) < wanted:
            self._asked.append(now)
            self._outcome.launches += 1
        self._outcome.most_workers = max(self._outcome.most_workers, wanted)

    def _start_tasks(self, now: float) -> None:
        there = sum(asked + self._day.startup_s <= now for asked in self._asked) if self._waiting else 0
        while self._waiting and len(self._running) < there * self._day.slots:
            came, run_s = self._waiting.popleft()
            self._outcome.waits_s.append(now - came)
            heapq.heappush(self._running, now + run_s)
