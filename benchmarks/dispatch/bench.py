"""What do the benchmarks of dispatch have in common: a manager with a local worker of two slots, and what they time?"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import vine
from benchmarks.figures import Figure

SLOTS = 2
RESULT_S = 120.0  # The most that a round may wait for one more result before it is called lost.
_READY_S = 60.0  # The most that a worker on this machine may take to come.


@dataclass(frozen=True, slots=True)
class Bench:
    """A manager with one local worker of two slots, ready."""

    manager: vine.Manager
    executor: vine.Executor


@contextmanager
def bench() -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="vine-dispatch-") as folder,
        joined(vine.Manager(run_info_path=folder)) as at,
    ):
        yield at


@contextmanager
def joined(manager: vine.Manager) -> Iterator[Bench]:
    """A bench with this manager."""
    with (
        manager,
        vine.Executor(manager, min_workers=1, max_workers=1, cores=SLOTS) as executor,
    ):
        manager.wait_for_workers(1, timeout=_READY_S)
        yield Bench(manager, executor.options(cores=1))


def inc(x: int) -> int:
    return x + 1


def seconds_of(submit: Callable[[int], Future[int]], count: int) -> float:
    """From the first of so many submissions, one by one, until all results are here; each is to be one more."""
    start_s = time.perf_counter()
    futures = [submit(x) for x in range(count)]
    wait(futures, timeout=RESULT_S)
    seconds = time.perf_counter() - start_s
    assert [future.result(timeout=0) for future in futures] == list(range(1, count + 1)), "wrong results"
    return seconds


def against(
    names: tuple[str, str, str], pairs: Sequence[tuple[float, float]], count: int, params: dict[str, Any]
) -> list[Figure]:
    """Our rate, that of what ours stands beside, and ours over that: of pairs of seconds, the other's first."""
    own_name, other_name, ratio_name = names
    return [
        Figure(own_name, statistics.median(count / own for _, own in pairs), "1/s", params),
        Figure(other_name, statistics.median(count / other for other, _ in pairs), "1/s", params),
        Figure(ratio_name, statistics.median(other / own for other, own in pairs), "", params),
    ]
