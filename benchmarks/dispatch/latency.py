"""How long does a lone call take, from its submission until its result is in the caller's hands?"""

from __future__ import annotations

import statistics
import time

from benchmarks.dispatch.bench import RESULT_S, Bench, inc
from benchmarks.figures import Figure


def latency(at: Bench, rounds: int, count: int) -> list[Figure]:
    """A lone call, from its submission until its result is in the caller's hands."""

    def once() -> float:
        start_s = time.perf_counter()
        result = at.executor.submit(inc, 1).result(timeout=RESULT_S)
        seconds = time.perf_counter() - start_s
        assert result == 2, "wrong result"
        return seconds * 1e3

    for _ in range(20):
        once()
    series = [sorted(once() for _ in range(count)) for _ in range(rounds)]
    params = {"calls": count, "rounds": rounds}
    return [
        Figure("latency_ms_median", statistics.median(s[len(s) // 2] for s in series), "ms", params),
        Figure("latency_ms_p99", statistics.median(s[len(s) * 99 // 100] for s in series), "ms", params),
    ]
