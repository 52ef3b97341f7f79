"""What do calls cost that are all given one large value, shared, beside the same calls without it?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

import numpy as np

import vine
from benchmarks.dispatch.bench import RESULT_S, SLOTS, Bench, inc
from benchmarks.figures import Figure

VALUE_BYTES = 8 << 20


def inc_beside(x: int, value: Any) -> int:
    assert len(value) == VALUE_BYTES, "not the value that was shared"
    return x + 1


def shared(at: Bench, rounds: int, count: int) -> list[Figure]:
    """With bytes, which a host keeps, and with an array, of which each call sees the same memory; in turns."""
    figures = []
    for kind, value in (("bytes", bytes(VALUE_BYTES)), ("array", np.zeros(VALUE_BYTES, np.uint8))):
        params = {"calls": count, "slots": SLOTS, "rounds": rounds, "bytes": VALUE_BYTES, "value": kind}
        start_s = time.perf_counter()
        given = vine.share(value)
        at.executor.submit(inc_beside, 1, given).result(timeout=RESULT_S)
        cold_ms = (time.perf_counter() - start_s) * 1e3

        def with_it(x: int, given: Any = given) -> Future[int]:
            return at.executor.submit(inc_beside, x, given)

        def without(x: int) -> Future[int]:
            return at.executor.submit(inc, x)

        _seconds(with_it, 200), _seconds(without, 200)  # Both hosts are started, and have both functions.
        pairs = [(_seconds(without, count), _seconds(with_it, count)) for _ in range(rounds)]
        figures += [
            Figure("shared_cold_ms", cold_ms, "ms", params),
            Figure("shared_per_s", statistics.median(count / own for _, own in pairs), "1/s", params),
            Figure("shared_of_calls", statistics.median(bare / own for bare, own in pairs), "", params),
        ]
    return figures


def _seconds(submit: Callable[[int], Future[int]], count: int) -> float:
    start_s = time.perf_counter()
    futures = [submit(x) for x in range(count)]
    wait(futures, timeout=RESULT_S)
    seconds = time.perf_counter() - start_s
    assert [future.result(timeout=0) for future in futures] == list(range(1, count + 1)), "wrong results"
    return seconds
