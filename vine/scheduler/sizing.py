"""How much is a task given at first, where it is known how much others of its kind have used, and for how long?

A task that then needs more is stopped and runs once more with the most that one may have. So a small first size lets
more tasks run beside each other, and loses the time of those that it stops. The two answers are those of B. Tovar,
R. Ferreira da Silva, G. Juve, E. Deelman, W. Allcock, D. Thain and M. Livny, "A Job Sizing Strategy for
High-Throughput Scientific Workflows", IEEE Transactions on Parallel and Distributed Systems 29(2), 2018, which are
TaskVine's, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vine import config


def rounded_up(amount: float, step: float) -> float:
    """At least one step: who has used next to nothing until now needs something all the same."""
    return step * max(1, math.ceil(amount / step - config.category_slack))


@dataclass(slots=True)
class _Bucket:
    tasks: int = 0
    seconds: float = 0.0  # that they ran


class _Choice(NamedTuple):
    """A first size, and what would come of it."""

    size: float
    fitting: int  # tasks that need no more
    lost_s: float  # that those which need more ran until now: what a second run of each adds


@dataclass(slots=True)
class Uses:
    """How much of one thing tasks have used, in steps, and how long those ran that used so much."""

    step: float
    _buckets: dict[float, _Bucket] = field(default_factory=dict)  # by what is enough for them
    _tasks: int = 0
    _seconds: float = 0.0

    def add(self, amount: float, run_s: float) -> None:
        bucket = self._buckets.setdefault(rounded_up(amount, self.step), _Bucket())
        bucket.tasks += 1
        bucket.seconds += run_s
        self._tasks += 1
        self._seconds += run_s

    def most(self) -> float:
        """What was enough for all; 0 for none."""
        return max(self._buckets, default=0.0)

    def of_least_waste(self, second: float) -> float:
        """The first size that costs least, size times time, over both runs of those that it stops."""
        return min(self._choices(), key=lambda c: (c.size * self._seconds + second * c.lost_s, c.size)).size

    def of_most_throughput(self, second: float) -> float:
        """The first size by which most tasks end a second, where all have as much of it as one of the second size."""

        def ended_per_s(choice: _Choice) -> float:
            ended = choice.fitting * second / choice.size + (self._tasks - choice.fitting)
            return ended / ((self._seconds + choice.lost_s) or 1.0)

        return max(self._choices(), key=lambda c: (ended_per_s(c), -c.size)).size

    def _choices(self) -> Iterator[_Choice]:
        """No other sizes than those that were just enough for somebody can be best."""
        fitting, left_s = 0, self._seconds
        for size, bucket in sorted(self._buckets.items()):
            fitting += bucket.tasks
            left_s -= bucket.seconds
            yield _Choice(size, fitting, max(0.0, left_s))
