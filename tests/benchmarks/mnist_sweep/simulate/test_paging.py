"""A queue of tasks on the shared filesystem: what fitting runs a thousand times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.mnist_sweep.simulate import paging, parameters

CALM = replace(
    parameters.read()[0],
    compute_s=100.0,
    compute_spread=0.0,
    slowest_over_fastest=1.0,
    slow_factor=2.0,
    slow_share={32: 0.0},
    others_streams={32: 0.0},
    metadata_operations=1000.0,
    metadata_operations_per_s=1000.0,
    environment_bytes=0.0,
    dataset_bytes=10.0,
    filesystem_bytes_per_s=1.0,
    filesystem_bytes_per_s_of_a_node=1.0,
    arrival_workers_per_s=1e9,
)


def test_a_worker_has_eight_at_once_and_waves_follow_each_other() -> None:
    run = paging.run(CALM, workers=1, tasks=16)
    # Eight look up 1,000 names each at 1,000 a second together, wait 10 s for the pages, compute; then without pages.
    assert run.task_s == pytest.approx([8 + 10 + 100] * 8 + [8 + 100] * 8)
    assert run.run_s == pytest.approx(226.0)


def test_others_make_each_task_slower_and_slow_nodes_take_fewer() -> None:
    alone = paging.run(CALM, 2, 64)
    beside_others = paging.run(replace(CALM, others_streams={32: 16.0}), 2, 64)
    half_slow = paging.run(replace(CALM, slow_share={32: 0.5}), 2, 64)
    assert sum(beside_others.task_s) > sum(alone.task_s)
    slow = [seconds for seconds in half_slow.task_s if seconds > 200]
    assert 0 < len(slow) < 32


def test_data_that_cost_nothing_leave_the_computing() -> None:
    free = paging.run(paging.without_data(replace(CALM, others_streams={32: 16.0})), 2, 32)
    assert free.task_s == pytest.approx([100.0] * 32)
    assert free.run_s == pytest.approx(200.0)


def test_moments_are_of_all_tasks() -> None:
    found = paging.moments([1.0, 2.0, 6.0])
    assert (found.mean, found.median) == (3.0, 2.0)
    assert found.std == pytest.approx((14 / 3) ** 0.5)
