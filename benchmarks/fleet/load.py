"""What work comes in a day: bursts of tasks at no particular time, and a trickle between them."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Day:
    """One-core tasks: when each comes and how long it runs, in the order in which they come."""

    tasks: tuple[tuple[float, float], ...]
    slots: int  # of each worker
    most_workers: int
    startup_s: float  # from asking for a worker until the manager has it

    @property
    def work_hours(self) -> float:
        """Of a worker with all of its slots busy."""
        return sum(run_s for _, run_s in self.tasks) / self.slots / 3600

    @property
    def tail_s(self) -> float:
        """How much of a worker is idle from when its slots got their last tasks until the last of these ends.

        On average, for who cannot tell how long tasks run: the longest of as many as there are slots, less their mean.
        """
        groups = zip(*[(run_s for _, run_s in self.tasks)] * self.slots, strict=False)
        return statistics.fmean(max(group) - statistics.fmean(group) for group in groups)

    def least_hours(self, launches: int) -> float:
        """What so many workers cost at least: the work, and of each the start and the tail, with never an idle slot."""
        return self.work_hours + launches * (self.startup_s + self.tail_s) / 3600


def a_day(seed: int, most_workers: int, slots: int = 4, startup_s: float = 60.0) -> Day:
    """Bursts come 4 an hour on average, as a Poisson process; each has from 20 tasks to what the whole fleet runs in
    a quarter of an hour, evenly on a logarithmic scale, and takes up to a minute to arrive. A task runs for 5 minutes
    on average (as the paper's trainings do), log-normally with a spread of 1.6 times. One every 10 s comes alone.
    """
    dice = random.Random(seed)
    mean_s, spread = 300.0, math.log(1.6)
    largest = most_workers * slots * 900 / mean_s

    def run_s() -> float:
        return dice.lognormvariate(math.log(mean_s) - spread**2 / 2, spread)

    tasks = [(float(at_s), run_s()) for at_s in range(0, int(DAY_S), 10)]
    at_s = 0.0
    while (at_s := at_s + dice.expovariate(4 / 3600)) < DAY_S:
        number = int(20 * math.exp(dice.uniform(0, math.log(largest / 20))))
        over_s = dice.uniform(0, 60)
        tasks += [(at_s + dice.uniform(0, over_s), run_s()) for _ in range(number)]
    return Day(tuple(sorted(tasks)), slots, most_workers, startup_s)
