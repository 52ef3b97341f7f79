"""How many calls of a tiny function go through in a second, submitted one by one?"""

from __future__ import annotations

import statistics
from functools import partial

from benchmarks.dispatch.bench import SLOTS, Bench, inc, seconds_of
from benchmarks.figures import Figure


def calls(at: Bench, rounds: int, count: int) -> list[Figure]:
    """Calls of a tiny function on warm hosts, submitted one by one."""
    submit = partial(at.executor.submit, inc)
    seconds_of(submit, 200)  # Both hosts are started and have the function.
    rates = [count / seconds_of(submit, count) for _ in range(rounds)]
    return [Figure("calls_per_s", statistics.median(rates), "1/s", {"calls": count, "slots": SLOTS, "rounds": rounds})]
