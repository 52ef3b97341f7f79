"""How do calls run on the standard library's ProcessPoolExecutor: no network, no files, no second machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.peers.interface import RESULT_S, WORKERS


@dataclass(frozen=True, slots=True)
class OnProcessPool:
    executor: ProcessPoolExecutor
    function: Callable[[int], int]

    def submit(self, x: int) -> Future[int]:
        return self.executor.submit(self.function, x)

    def gather(self, calls: Sequence[Future[int]]) -> list[int]:
        wait(calls, RESULT_S)
        return [call.result(0) for call in calls]


@contextmanager
def started(function: Callable[[int], int], folder: str) -> Iterator[OnProcessPool]:
    with ProcessPoolExecutor(WORKERS) as executor:
        yield OnProcessPool(executor, function)
