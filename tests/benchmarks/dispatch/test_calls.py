"""The rate of calls is of what was asked for."""

from __future__ import annotations

from benchmarks.dispatch.bench import Bench
from benchmarks.dispatch.calls import calls


def test_calls_are_a_rate(bench: Bench) -> None:
    (figure,) = calls(bench, rounds=3, count=50)
    assert (figure.name, figure.unit) == ("calls_per_s", "1/s")
    assert figure.value > 0
    assert figure.params == {"calls": 50, "slots": 2, "rounds": 3}
