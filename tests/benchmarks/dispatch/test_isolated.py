"""Calls with a fork each are compared with bare forks of what has loaded the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from benchmarks.dispatch.bench import Bench
from benchmarks.dispatch.isolated import isolated


def test_isolated_calls_stand_beside_bare_forks_of_what_has_loaded_the_same() -> None:
    class Isolating(ThreadPoolExecutor):
        isolation = ""

        def options(self, isolation: str) -> Isolating:
            self.isolation = isolation
            return self

    with Isolating(2) as executor:
        bench = Bench(cast(Any, None), cast(Any, executor))
        figures = {figure.name: figure.value for figure in isolated(bench, rounds=1, count=4)}
        assert executor.isolation == "fork"
    assert list(figures) == ["isolated_per_s", "fork_per_s", "isolated_of_fork"]
    assert all(value > 0 for value in figures.values())
