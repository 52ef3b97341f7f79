"""The benchmark of dispatch counts what it says that it counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from benchmarks import dispatch
from benchmarks.dispatch import Bench


class Commands:
    """A manager that runs nothing: every submitted task comes back, ended with this code."""

    def __init__(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self.submitted = 0
        self.returned = 0

    def submit(self, task: object) -> None:
        self.submitted += 1

    def wait(self, timeout: float) -> Any:
        self.returned += 1
        return self

    def successful(self) -> bool:
        return True


@pytest.fixture
def bench() -> Any:
    with ThreadPoolExecutor(2) as executor:
        yield Bench(cast(Any, Commands()), cast(Any, executor))


def test_calls_are_a_rate(bench: Bench) -> None:
    (figure,) = dispatch.calls(bench, rounds=3, count=50)
    assert (figure.name, figure.unit) == ("calls_per_s", "1/s")
    assert figure.value > 0
    assert figure.params == {"calls": 50, "slots": 2, "rounds": 3}


def test_latency_has_a_median_below_its_tail(bench: Bench) -> None:
    median, tail = dispatch.latency(bench, rounds=3, count=20)
    assert (median.name, tail.name) == ("latency_ms_median", "latency_ms_p99")
    assert 0 < median.value <= tail.value


def test_isolated_calls_stand_beside_bare_forks_of_what_has_loaded_the_same() -> None:
    class Isolating(ThreadPoolExecutor):
        isolation = ""

        def options(self, isolation: str) -> Isolating:
            self.isolation = isolation
            return self

    with Isolating(2) as executor:
        bench = Bench(cast(Any, None), cast(Any, executor))
        figures = {figure.name: figure.value for figure in dispatch.isolated(bench, rounds=1, count=4)}
        assert executor.isolation == "fork"
    assert list(figures) == ["isolated_per_s", "fork_per_s", "isolated_of_fork"]
    assert all(value > 0 for value in figures.values())


def test_commands_stand_beside_those_started_by_hand(bench: Bench) -> None:
    figures = {figure.name: figure.value for figure in dispatch.commands(bench, rounds=3, count=10)}
    assert list(figures) == ["commands_per_s", "fork_exec_per_s", "commands_of_fork_exec"]
    manager = cast(Any, bench.manager)
    assert manager.submitted == manager.returned == 20 + 3 * 10


def test_a_command_that_fails_stops_the_benchmark() -> None:
    with pytest.raises(AssertionError, match="a command failed"):
        dispatch.commands(Bench(cast(Any, Commands(exit_code=1)), cast(Any, None)), rounds=1, count=1)
