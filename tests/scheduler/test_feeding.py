"""Does a manager know how many tasks it can keep busy, and tell its factories?"""

from __future__ import annotations

from tests.scheduler.world import World
from vine import config
from vine.scheduler import fleet
from vine.scheduler.feeding import Feeding
from vine.wire import messages as m
from vine.wire.parts import Resources


def measured(tasks: int, run_s: float, busy_s: float) -> Feeding:
    feeding = Feeding()
    for _ in range(tasks):
        feeding.ended(run_s)
    feeding.was_busy(busy_s)
    return feeding


def test_it_is_how_long_tasks_run_over_the_managers_time_for_them_with_a_reserve() -> None:
    assert measured(1000, run_s=10.0, busy_s=0.1).tasks_at_once_max == int(config.feeding_share * 100_000)
    assert measured(1000, run_s=0.001, busy_s=10.0).tasks_at_once_max == 1


def test_few_tasks_tell_nothing() -> None:
    assert measured(config.feeding_tasks_min - 1, run_s=10.0, busy_s=0.1).tasks_at_once_max is None
    assert measured(config.feeding_tasks_min, run_s=10.0, busy_s=0.0).tasks_at_once_max is None


def test_small_changes_are_not_told_and_large_ones_are() -> None:
    feeding = measured(1000, run_s=1.0, busy_s=1.0)
    before = feeding.tasks_at_once_max
    feeding.was_busy(0.1)
    assert feeding.tasks_at_once_max == before == 800
    feeding.was_busy(0.9)
    assert feeding.tasks_at_once_max == 400


def test_what_was_long_ago_counts_less_and_less() -> None:
    feeding = measured(config.feeding_tasks_kept + 1, run_s=100.0, busy_s=1.0)
    for _ in range(10):
        for _ in range(config.feeding_tasks_kept + 1):
            feeding.ended(1.0)
        feeding.was_busy(1.0)
    assert feeding.tasks_at_once_max is not None
    assert feeding.tasks_at_once_max < 1.3 * config.feeding_share * config.feeding_tasks_kept


def test_factories_are_told() -> None:
    world = World(workers=4)
    for _ in range(config.feeding_tasks_min):
        world.submit()
    world.settle()
    world.core.was_busy(0.5)
    told = fleet.fleet_demand(world.core.state, m.FactoryHello("f", "slurm", 0, 9, Resources(1, 1, 1)))
    assert told.tasks_at_once_max == world.core.state.feeding.tasks_at_once_max is not None
