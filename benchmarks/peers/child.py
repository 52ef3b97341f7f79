"""What does one round on one system take: its start, a lone call, many calls? A process of its own finds out."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmarks.peers.interface import PEERS, Started, System
from benchmarks.peers.work import inc

_WARM_UP_CALLS = 200  # Every worker has run some, and none pays for its first imports any more.


@dataclass(frozen=True, slots=True)
class Round:
    """What one round has measured; each result was checked."""

    version: str
    calls: int
    startup_s: float  # from the first line after the imports to the first result
    calls_per_s: float
    latencies_ms: tuple[float, ...]  # of lone calls, sorted


def measured(started: Started, folder: str, calls: int, lone_calls: int, version: str = "") -> Round:
    start_s = time.perf_counter()
    with started(inc, folder) as system:
        assert system.gather([system.submit(0)]) == [1], "wrong result"
        startup_s = time.perf_counter() - start_s
        many(system, _WARM_UP_CALLS)
        latencies_ms = sorted(1e3 * many(system, 1) for _ in range(lone_calls))
        calls_s = many(system, calls)
    return Round(version, calls, startup_s, calls / calls_s, tuple(latencies_ms))


def many(system: System, calls: int) -> float:
    """Seconds from the first submission, one by one, until all results are in the caller's hands."""
    start_s = time.perf_counter()
    results = system.gather([system.submit(x) for x in range(calls)])
    seconds = time.perf_counter() - start_s
    assert results == list(range(1, calls + 1)), "wrong results"
    return seconds


def version_of(package: str) -> str:
    """Of what is installed; nothing for what comes with Python, or has no version of its own."""
    try:
        return version({"vine": "vine-runtime"}.get(package, package))
    except PackageNotFoundError:
        return ""


def main(say: Callable[[str], object] = print) -> int:
    """`python -m benchmarks.peers.child HOME FOLDER CALLS LONE_CALLS` prints a round as its last line."""
    home, folder, calls, lone_calls = sys.argv[1:]
    peer = next(peer for peer in PEERS if peer.home == home)
    started: Started = importlib.import_module(f"benchmarks.peers.systems.{home}").started
    found = measured(started, folder, int(calls), int(lone_calls), version_of(peer.package))
    say(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":  # Workers that import this file again, as the standard library's may, measure nothing.
    sys.exit(main())
