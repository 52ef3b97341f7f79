"""How many calls of a tiny function go through in a second, submitted one by one?"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import wait

from benchmarks.dispatch.bench import RESULT_S, SLOTS, Bench, inc
from benchmarks.figures import Figure


def calls(at: Bench, rounds: int, count: int) -> list[Figure]:
    """Calls of a tiny function on warm hosts, submitted one by one."""

    def once(count: int) -> float:
        start_s = time.perf_counter()
        futures = [at.executor.submit(inc, x) for x in range(count)]
        wait(futures, timeout=RESULT_S)
        seconds = time.perf_counter() - start_s
        assert [future.result(timeout=0) for future in futures] == list(range(1, count + 1)), "wrong results"
        return seconds

    once(count=200)  # Both hosts are started and have the function.
    rates = [count / once(count) for _ in range(rounds)]
    return [Figure("calls_per_s", statistics.median(rates), "1/s", {"calls": count, "slots": SLOTS, "rounds": rounds})]
