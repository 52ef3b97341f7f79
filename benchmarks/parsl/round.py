"""What does one round on one executor take: its start, many apps, a chain of them? A process of its own finds out."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import parsl

from benchmarks.parsl.executors import EXECUTORS

_WARM_UP_APPS = 100  # Every slot has run some, and none pays for its first imports any more.
CHAINS = 5  # The first shares the machine with what is left to be written down of the many.


@dataclass(frozen=True, slots=True)
class Round:
    """What one round has measured; each result was checked."""

    startup_s: float  # from before `parsl.load` to the first result
    apps_per_s: float  # no-op apps, called one by one, until all results are in the caller's hands
    chain_s: float  # of apps, each of which takes the future of the one before it; the median of CHAINS


def plus_one(number: int) -> int:
    return number + 1


increased: Callable[[Any], Any] = parsl.python_app(plus_one)


def measured(executor: Any, folder: str, log: bool, apps: int, chain: int) -> Round:
    """Without a scaling strategy, which costs time; Parsl writes its `log`, as it does unless it is told not to."""
    config = parsl.Config(
        executors=[executor], run_dir=folder, strategy="none", usage_tracking=0, initialize_logging=log
    )
    start_s = time.perf_counter()
    with parsl.load(config):
        assert increased(0).result() == 1, "wrong result"
        startup_s = time.perf_counter() - start_s
        many(_WARM_UP_APPS)
        apps_s = many(apps)
        chains = [chained(chain) for _ in range(CHAINS)]
        return Round(startup_s, apps / apps_s, statistics.median(chains))


def many(apps: int) -> float:
    start_s = time.perf_counter()
    results = [future.result() for future in [increased(number) for number in range(apps)]]
    seconds = time.perf_counter() - start_s
    assert results == list(range(1, apps + 1)), "wrong results"
    return seconds


def chained(apps: int) -> float:
    start_s = time.perf_counter()
    last: Any = 0
    for _ in range(apps):
        last = increased(last)
    assert last.result() == apps, "wrong result"
    return time.perf_counter() - start_s


def main(say: Callable[[str], object] = print) -> int:
    """`python -m benchmarks.parsl.round NAME FOLDER LOG APPS CHAIN` prints a round as its last line."""
    name, folder, log, apps, chain = sys.argv[1:]
    found = measured(EXECUTORS[name](), folder, log == "log", int(apps), int(chain))
    say(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":  # Workers that import this file again measure nothing.
    sys.exit(main())
