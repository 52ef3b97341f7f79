"""A lone call's latency is a median and a tail."""

from __future__ import annotations

from benchmarks.dispatch.bench import Bench
from benchmarks.dispatch.latency import latency


def test_latency_has_a_median_below_its_tail(bench: Bench) -> None:
    median, tail = latency(bench, rounds=3, count=20)
    assert (median.name, tail.name) == ("latency_ms_median", "latency_ms_p99")
    assert 0 < median.value <= tail.value
