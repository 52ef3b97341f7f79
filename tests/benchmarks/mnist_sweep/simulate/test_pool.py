"""What the batch system gives: the spread that the parameters say, dealt by dice of one seed."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from benchmarks.mnist_sweep.simulate import parameters, pool

PARAMETERS = replace(
    parameters.read()[0], slow_factor=3.0, slow_share={32: 0.25}, arrival_span_s=64.0, compute_spread=0.1
)


def test_a_run_gets_its_share_of_slow_nodes_and_they_come_one_after_the_other() -> None:
    nodes = pool.nodes(PARAMETERS, 32, seed=0)
    assert sorted(node.slowness for node in nodes) == [1.0] * 24 + [3.0] * 8
    assert sorted(node.arrives_s for node in nodes) == [1.0 + 2 * number for number in range(32)]
    assert len({node.name for node in nodes}) == 32


def test_the_dice_are_of_the_seed() -> None:
    assert pool.nodes(PARAMETERS, 32, 1) == pool.nodes(PARAMETERS, 32, 1) != pool.nodes(PARAMETERS, 32, 2)
    assert pool.compute_times(PARAMETERS, 64, 1) == pool.compute_times(PARAMETERS, 64, 1)
    assert pool.compute_times(PARAMETERS, 64, 1) != pool.compute_times(PARAMETERS, 64, 2)


def test_tasks_compute_as_long_as_the_parameters_say_whatever_the_dice() -> None:
    for seed in (0, 1):
        seconds = pool.compute_times(PARAMETERS, 2048, seed)
        assert statistics.fmean(seconds) == pytest.approx(300.0)
        assert statistics.pstdev(seconds) == pytest.approx(30.0, rel=0.01)
    assert set(pool.compute_times(replace(PARAMETERS, compute_spread=0.0), 8, 0)) == {300.0}
