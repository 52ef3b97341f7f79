"""Does the simulated fleet do what the true policy says, and lose no task?"""

from __future__ import annotations

import pytest

from benchmarks.fleet.followed import FollowedFleet
from benchmarks.fleet.load import Day, a_day
from benchmarks.fleet.outcome import Outcome
from tests.benchmarks.fleet.made import day
from vine.wire.parts import Resources
from vine_factory.policy import FleetLimits, FleetPolicy


def followed(day: Day, idle_timeout_s: float = 30.0, news_s: float = 10.0) -> Outcome:
    limits = FleetLimits(0, day.most_workers, Resources(day.slots, 1000, 1000), idle_timeout_s)
    return FollowedFleet(day, FleetPolicy(limits, "w-1"), news_s).run()


def test_one_task_costs_its_run_the_start_of_its_worker_and_the_idle_time() -> None:
    outcome = followed(day((0.0, 100.0)), news_s=1.0)
    assert outcome.waits_s == [pytest.approx(61.0, abs=1.0)]
    assert outcome.worker_hours == pytest.approx((60 + 100 + 30) / 3600, abs=3 / 3600)


def test_every_task_runs_within_the_limit() -> None:
    small = a_day(5, 6)
    outcome = followed(small)
    assert len(outcome.waits_s) == len(small.tasks)
    assert outcome.most_workers <= 6


def test_no_worker_is_let_go_within_the_idle_time_of_its_launch() -> None:
    assert followed(a_day(5, 6), idle_timeout_s=120.0).shortest_life_s >= 120.0
