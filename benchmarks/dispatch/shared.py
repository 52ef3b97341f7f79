"""What do calls cost that are all given one large value, shared, beside the same calls without it?"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

import vine
from benchmarks.dispatch.bench import RESULT_S, SLOTS, Bench, against, inc, seconds_of
from benchmarks.figures import Figure

VALUE_BYTES = 8 << 20
_TURNS = 20  # in each round, each of twice so many calls of both kinds: a tenth of a second is noise by itself


def inc_beside(value: Any, x: int) -> int:
    assert len(value) == VALUE_BYTES, "not the value that was shared"
    return x + 1


def shared(at: Bench, rounds: int, count: int) -> list[Figure]:
    """With bytes, which a host keeps, and with an array, of which each call sees the same memory; in turns.

    A turn takes the kinds in the order of A, B, B, A: what calls leave to be written to the journal costs those after
    them, and would fall on one kind for many turns together.
    """
    figures = []
    for kind, value in (("bytes", bytes(VALUE_BYTES)), ("array", np.zeros(VALUE_BYTES, np.uint8))):
        turns = rounds * _TURNS
        params = {"calls": count, "slots": SLOTS, "rounds": turns, "bytes": VALUE_BYTES, "value": kind}
        start_s = time.perf_counter()
        given = vine.share(value)
        at.executor.submit(inc_beside, given, 1).result(timeout=RESULT_S)
        cold_ms = (time.perf_counter() - start_s) * 1e3

        with_it = partial(at.executor.submit, inc_beside, given)
        without = partial(at.executor.submit, inc)
        seconds_of(with_it, count), seconds_of(without, count)  # All hosts are started, and have both functions and it.
        pairs = []
        for _ in range(turns):
            first, second, third, fourth = (seconds_of(each, count) for each in (with_it, without, without, with_it))
            pairs.append((second + third, first + fourth))
        own, _, ratio = against(("shared_per_s", "", "shared_of_calls"), pairs, 2 * count, params)
        figures += [Figure("shared_cold_ms", cold_ms, "ms", params), own, ratio]
    return figures
