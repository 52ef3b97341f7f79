"""Is a day what it is said to be, and the same one for the same seed?"""

from __future__ import annotations

import statistics

import pytest

from benchmarks.fleet.load import DAY_S, a_day
from tests.benchmarks.fleet.made import day


def test_a_seed_is_a_day() -> None:
    assert a_day(3, 20) == a_day(3, 20)
    assert a_day(3, 20) != a_day(4, 20)


def test_tasks_come_in_order_within_the_day_and_run_for_five_minutes_on_average() -> None:
    tasks = a_day(1, 100).tasks
    assert list(tasks) == sorted(tasks)
    assert tasks[0][0] >= 0 and tasks[-1][0] < DAY_S + 60
    assert abs(statistics.fmean(run_s for _, run_s in tasks) - 300) < 15


def test_a_fleet_of_all_workers_could_do_it_with_much_time_left() -> None:
    day = a_day(0, 100)
    assert 0.05 < day.work_hours / (100 * 24) < 0.5


def test_a_worker_waits_for_the_longest_of_its_last_tasks_and_one_slot_for_none() -> None:
    tasks = [(0.0, 100.0), (1.0, 300.0), (2.0, 50.0), (3.0, 50.0), (4.0, 9.0)]
    assert day(*tasks, slots=2).tail_s == (100.0 + 0.0) / 2  # The one that is left over makes no worker.
    assert day(*tasks, slots=1).tail_s == 0.0
    work_s = 509.0 / 2
    assert day(*tasks, slots=2).least_hours(launches=3) == pytest.approx((work_s + 3 * (60.0 + 50.0)) / 3600)
