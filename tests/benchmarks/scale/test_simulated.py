"""The simulated figures are of the tasks and workers that were asked for."""

from __future__ import annotations

import pytest

from benchmarks.scale import simulated


def test_a_mixture_has_a_cost_a_task_and_one_of_standing_there() -> None:
    cost, standing = simulated.mixture(workers=5, tasks=100)
    assert (cost.name, standing.name) == ("core_us_per_task", "core_standing_share")
    assert cost.params == {"workers": 5, "tasks": 100}
    assert cost.value > 0 and 0 < standing.value < 1


@pytest.mark.parametrize("kind", simulated.GRAPHS)
def test_a_graph_has_a_cost_and_a_size_a_task(kind: str) -> None:
    cost, size = simulated.graph(kind, 2000)
    assert (cost.name, size.name) == ("graph_core_us_per_task", "graph_bytes_per_task")
    assert cost.params["tasks"] == (2000 if kind == "stages" else 2003)
    assert cost.value > 0
    assert (size.unit, size.params["by"]) == ("B", "resident memory, all submitted")  # Nothing, after tests that grew.


def test_a_reduction_has_its_inner_tasks() -> None:
    assert simulated.reduction_size(1_000_000, 1000) == 1_001_001
    assert simulated.reduction_size(1, 1000) == 1
