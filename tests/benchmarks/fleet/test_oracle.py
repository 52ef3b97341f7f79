"""Does the oracle keep ceil(load / slots), with the delay and the limit of everybody?"""

from __future__ import annotations

import pytest

from benchmarks.fleet.oracle import Oracle
from tests.benchmarks.fleet.made import day


def test_one_task_costs_its_run_the_start_of_its_worker_and_the_rest_of_a_minute() -> None:
    outcome = Oracle(day((0.0, 100.0))).run()
    assert outcome.waits_s == [60.0]
    assert outcome.ended_s == 160.0
    assert outcome.worker_hours == pytest.approx(180 / 3600)
    assert outcome.launches == 1


def test_there_are_never_more_workers_than_may_be() -> None:
    outcome = Oracle(day(*[(0.0, 100.0)] * 20)).run()
    assert outcome.most_workers == 4
    assert outcome.ended_s == 60 + 3 * 100  # 20 tasks on 8 slots


def test_when_tasks_end_others_move_together() -> None:
    # Two workers of two slots; when one task of each has ended, one worker does.
    outcome = Oracle(day((0.0, 60.0), (0.0, 60.0), (0.0, 600.0), (0.0, 600.0))).run()
    assert outcome.launches == 2
    assert outcome.worker_hours == pytest.approx((120 + 660) / 3600)
