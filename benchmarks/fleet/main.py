"""What does a fleet cost that follows a day's bursts, over one whose owner knows the load?"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from benchmarks.counts import count, count_of_some
from benchmarks.figures import Figure, show
from benchmarks.fleet.followed import FollowedFleet
from benchmarks.fleet.knowing import KnowingPolicy
from benchmarks.fleet.load import a_day
from benchmarks.fleet.oracle import Oracle
from vine import config
from vine.errors import ExitCode
from vine.wire.parts import Resources
from vine_factory.policy import FleetLimits, FleetPolicy


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    days = [day for seed in range(options.days) for day in figures_of(seed, options)]
    cost = statistics.median(figure.value for figure in days if figure.name == "worker_hours_of_oracle")
    show([*days, Figure("worker_hours_of_oracle_median", cost, "", {"days": options.days})], as_json=options.json)
    return ExitCode.OK


def figures_of(seed: int, options: argparse.Namespace) -> list[Figure]:
    day = a_day(seed, options.workers, options.slots)
    capacity = Resources(cores=day.slots, memory_mb=1000, disk_mb=1000)
    each = options.tasks_per_worker
    limits = FleetLimits(0, day.most_workers, capacity, options.idle_timeout, tasks_per_worker=each)
    followed = FollowedFleet(day, FleetPolicy(limits, "w-1"), options.news).run()
    knowing = FollowedFleet(day, KnowingPolicy(day), options.news).run()
    ideal = Oracle(day).run()
    params = {"seed": seed, "workers": options.workers, "slots": options.slots, "tasks": len(day.tasks)}
    return [
        Figure("worker_hours_of_oracle", followed.worker_hours / knowing.worker_hours, "", params),
        Figure("launches_of_oracle", followed.launches / knowing.launches, "", params),
        Figure("wait_of_oracle", followed.mean_wait_s / knowing.mean_wait_s, "", params),
        Figure("worker_hours_of_ideal", followed.worker_hours / ideal.worker_hours, "", params),
        Figure("wait_of_ideal", followed.mean_wait_s / ideal.mean_wait_s, "", params),
        Figure("least_of_ideal", day.least_hours(followed.launches) / ideal.worker_hours, "", params),
        Figure("worker_hours", followed.worker_hours, "h", params),
        Figure("work_of_worker_hours", day.work_hours / followed.worker_hours, "", params),
        Figure("most_workers", followed.most_workers, "", params),
        Figure("shortest_life_s", followed.shortest_life_s, "s", params),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--workers", type=count_of_some, default=1000, metavar="N", help="at most (default 1000)")
    parser.add_argument("--slots", type=count_of_some, default=4, metavar="N", help="of each worker (default 4)")
    parser.add_argument("--days", type=count, default=3, metavar="N", help="each with a seed of its own (default 3)")
    parser.add_argument("--idle-timeout", type=float, default=config.idle_timeout_s, metavar="S")
    parser.add_argument("--tasks-per-worker", type=float, metavar="X", help="one is launched for so many")
    parser.add_argument("--news", type=float, default=5.0, metavar="S", help="between the manager's news (default 5)")
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    return parser
