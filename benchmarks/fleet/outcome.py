"""What did a fleet do in a day: what it cost, how long tasks waited, how often it changed its mind."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    worker_hours: float = 0.0  # from when a worker is asked for until it is gone
    launches: int = 0
    most_workers: int = 0
    lives_s: list[float] = field(default_factory=list)  # of workers that were let go
    waits_s: list[float] = field(default_factory=list)  # of tasks, from their coming to their start
    ended_s: float = 0.0  # when the last task had

    @property
    def mean_wait_s(self) -> float:
        return sum(self.waits_s) / len(self.waits_s)

    @property
    def shortest_life_s(self) -> float:
        return min(self.lives_s)

    def lived(self, launched_s: float, ended_s: float) -> None:
        self.worker_hours += (ended_s - launched_s) / 3600
        self.lives_s.append(ended_s - launched_s)
