"""What does the scheduler cost as workers, tasks and their graphs grow, and what do many real workers reach?"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.counts import count
from benchmarks.figures import Figure, show
from benchmarks.scale import queued, real, simulated
from vine.errors import ExitCode, VineError
from vine.garbage import collect_rarely


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        found = _measure(options)
    except (VineError, TimeoutError) as error:
        print(f"scale: {error}", file=sys.stderr)
        return getattr(error, "exit_code", ExitCode.FAILED)
    show(found, as_json=options.json)
    return ExitCode.OK


def _measure(options: argparse.Namespace) -> list[Figure]:
    if options.real:
        return real.figures(options.rounds)
    if options.queued:
        return [figure for keeps_up in (True, False) for figure in alone(queued.figures, options.queued, keeps_up)]
    if options.graphs:
        return [figure for kind in simulated.GRAPHS for figure in alone(simulated.graph, kind, options.tasks)]
    found = [figure for workers in options.workers for figure in alone(simulated.mixture, workers, options.tasks)]
    return found + growth(found)


def growth(found: list[Figure]) -> list[Figure]:
    """How much more a task costs with the most workers than with the fewest."""
    costs = {figure.params["workers"]: figure.value for figure in found if figure.name == "core_us_per_task"}
    few, many = min(costs), max(costs)
    if few == many:
        return []
    return [Figure("core_us_per_task_growth", costs[many] / costs[few], "", {"from": few, "to": many})]


def alone(measure: Callable[..., list[Figure]], *arguments: Any) -> list[Figure]:
    """In a process of its own: what was there before neither counts as memory nor is looked at for garbage."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=collect_rarely) as pool:
        return pool.submit(measure, *arguments).result()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--graphs", action="store_true", help="a graph of stages and a wide reduction, of --tasks each")
    ways.add_argument("--queued", type=count, metavar="N", help="the manager's memory for N calls that wait")
    ways.add_argument(
        "--real", action="store_true", help=f"{real.WORKERS} real workers and {real.CALLS} calls of {real.CALL_S} s"
    )
    parser.add_argument(
        "--workers", type=_counts, default=(100, 1000, 10_000), metavar="N,N,...", help="(default 100,1000,10000)"
    )
    parser.add_argument("--tasks", type=count, default=1_000_000, metavar="N", help="(default %(default)s)")
    parser.add_argument("--rounds", type=count, default=3, help="of --real, of which the median is taken (default 3)")
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    return parser


def _counts(text: str) -> tuple[int, ...]:
    return tuple(count(part) for part in text.split(","))
