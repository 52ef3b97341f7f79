"""Does the policy that knows the load keep ceil(load / slots), minute by minute?"""

from __future__ import annotations

from benchmarks.fleet.followed import FollowedFleet
from benchmarks.fleet.knowing import KnowingPolicy
from tests.benchmarks.fleet.made import day
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, WorkDemand
from vine_factory.policy import Drain, Keep, Launch


def load(tasks: int, *connected: str, idle: str = "") -> FleetDemand:
    ids = tuple(map(WorkerId, connected))
    return FleetDemand((WorkDemand(Request(cores=1), tasks),), (), ids, (WorkerId(idle),) if idle else ())


def test_it_acts_each_minute_and_at_no_other_time() -> None:
    policy = KnowingPolicy(day())
    first, second = WorkerId("w-1-1"), WorkerId("w-1-2")
    assert policy.demand(load(3), 0.0) == [Launch((first, second))]
    assert policy.demand(load(1, first, second, idle=second), 59.0) == []
    assert policy.tick(60.0) == [Drain(second)]
    assert policy.demand(load(4, first, second), 120.0) == [Keep(second)]


def test_it_does_all_of_a_days_work() -> None:
    tasks = [(float(10 * number), 200.0) for number in range(30)]
    outcome = FollowedFleet(day(*tasks), KnowingPolicy(day(*tasks)), news_s=1.0).run()
    assert len(outcome.waits_s) == 30
    assert outcome.most_workers <= 4
