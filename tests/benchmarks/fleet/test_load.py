"""Is a day what it is said to be, and the same one for the same seed?"""

from __future__ import annotations

import statistics

from benchmarks.fleet.load import DAY_S, a_day


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
