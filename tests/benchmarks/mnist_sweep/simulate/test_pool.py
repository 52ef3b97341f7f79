"""What the batch system gives: the spread that the parameters say, dealt by dice of one seed."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from itertools import islice

import pytest

from benchmarks.mnist_sweep.simulate import parameters, pool

PARAMETERS = replace(
    parameters.read()[0],
    slowest_over_fastest=1.0,
    slow_factor=3.0,
    slow_share={32: 0.25},
    arrival_workers_per_s=0.5,
    compute_spread=0.1,
)
FAST = pool.Node("w0000", 1.0, 0.0)


def test_a_run_gets_its_share_of_slow_nodes_and_they_come_one_after_the_other() -> None:
    nodes = pool.nodes(PARAMETERS, 32, seed=0)
    assert sorted(node.slowness for node in nodes) == [1.0] * 24 + [3.0] * 8
    assert sorted(node.arrives_s for node in nodes) == [1.0 + 2 * number for number in range(32)]
    assert len({node.name for node in nodes}) == 32


def test_nodes_are_between_the_slowest_and_the_fastest_and_as_fast_as_the_usual_one_on_average() -> None:
    spread = replace(PARAMETERS, slowest_over_fastest=1.6, slow_share={32: 0.0})
    slowness = sorted(node.slowness for node in pool.nodes(spread, 256, seed=0))
    assert statistics.fmean(slowness) == pytest.approx(1.0)
    assert slowness[-1] / slowness[0] == pytest.approx(1.6, rel=0.01)
    assert slowness[128] - slowness[127] == pytest.approx(slowness[1] - slowness[0])
    again = [node.slowness for node in pool.nodes(spread, 256, seed=1)]
    assert sorted(again) == slowness != again


def first(node: pool.Node, seed: int = 0, count: int = 64) -> list[float]:
    return list(islice(pool.compute_times(PARAMETERS, node, seed), count))


def test_the_dice_are_of_the_seed() -> None:
    assert pool.nodes(PARAMETERS, 32, 1) == pool.nodes(PARAMETERS, 32, 1) != pool.nodes(PARAMETERS, 32, 2)
    assert first(FAST, 1) == first(FAST, 1) != first(FAST, 2)


def test_the_tasks_of_a_node_have_the_spread_that_the_parameters_say_whatever_the_dice() -> None:
    for seed in (0, 1):
        seconds = first(FAST, seed)
        assert statistics.fmean(seconds) == pytest.approx(300.0, rel=0.01)
        assert statistics.pstdev(seconds) == pytest.approx(30.0, rel=0.05)
        for wave in range(0, 64, 8):  # One in each eighth of the spread.
            eighths = [(value / 300.0 - 1) / (0.1 * math.sqrt(3)) * 4 + 4 for value in seconds[wave : wave + 8]]
            assert sorted(int(eighth) for eighth in eighths) == list(range(8))
    still = replace(PARAMETERS, compute_spread=0.0)
    assert list(islice(pool.compute_times(still, FAST, 0), 16)) == pytest.approx([300.0] * 16)


def test_a_slow_node_computes_the_same_tasks_longer() -> None:
    assert first(replace(FAST, slowness=3.0)) == pytest.approx([3 * seconds for seconds in first(FAST)])


def test_eight_tasks_of_the_papers_shape_fit_a_worker() -> None:
    assert pool.slots_of(PARAMETERS) == 8
    assert pool.slots_of(replace(PARAMETERS, task_memory_mb=4000.0)) == 4
