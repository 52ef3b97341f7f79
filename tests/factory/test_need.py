"""How much work is how many workers, and how many were needed lately?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factory.made import ONE_CORE, SIZE
from vine.wire.parts import Request, Resources, WorkDemand
from vine_factory.need import Need, tasks_per_worker, workers_for


@pytest.mark.parametrize(
    ("request_", "fitting"),
    [
        (Request(cores=1), 4),
        (Request(cores=3), 1),
        (Request(cores=0.1), 40),
        (Request(cores=1, memory_mb=4_000), 2),
        (Request(disk_mb=10_000), 1),
        (Request(cores=5), 0),
        (Request(gpus=1), 0),
        (Request(), 1),
        (Request(cores=0, memory_mb=4_000), 2),
    ],
)
def test_the_scarcest_resource_tells_how_many_tasks_a_worker_takes(request_: Request, fitting: int) -> None:
    assert tasks_per_worker(request_, SIZE) == fitting


def test_small_tasks_share_a_worker() -> None:
    assert workers_for((WorkDemand(ONE_CORE, 3), WorkDemand(Request(memory_mb=4_000), 1)), SIZE) == 2
    assert workers_for((WorkDemand(Request(cores=0.1), 40),), SIZE) == 1


def test_what_the_user_says_is_one_workers_counts_only_for_what_fits_one() -> None:
    work = (WorkDemand(ONE_CORE, 30), WorkDemand(Request(cores=64), 30))
    assert workers_for(work, SIZE, tasks_each=10) == 3


@pytest.mark.parametrize(("gpus", "fitting"), [(1, 2), (2, 1), (3, 0), (0.5, 4), (0.6, 2), (0.1, 20)])
def test_a_share_of_a_gpu_is_of_one_device(gpus: float, fitting: int) -> None:
    assert tasks_per_worker(Request(gpus=gpus), Resources(4, 8_000, 10_000, 2)) == fitting


@given(
    steps=st.lists(st.tuples(st.floats(0.1, 20), st.integers(0, 5)), max_size=30),
    window_s=st.sampled_from([0.0, 5.0, 30.0]),
)
def test_the_peak_is_the_largest_that_held_at_some_time_in_the_window(
    steps: list[tuple[float, int]], window_s: float
) -> None:
    need, now = Need(), 0.0
    held: list[list[float]] = [[0.0, 0.0, 0]]  # from, to, value
    for pause_s, value in steps:
        now += pause_s
        held[-1][1] = now
        need.become(value, now)
        held.append([now, now, value])
        expected = max([value, *(old for _, end, old in held[:-1] if end > now - window_s)])
        assert need.peak(now, window_s) == expected
        falls_at = need.falls_at(window_s)
        assert falls_at is None or falls_at > now
