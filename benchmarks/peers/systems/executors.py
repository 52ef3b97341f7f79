"""How do calls run on whatever is an Executor of the standard library's kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass

from benchmarks.peers.interface import RESULT_S


@dataclass(frozen=True, slots=True)
class OnExecutor:
    executor: Executor
    function: Callable[[int], int]

    def submit(self, x: int) -> Future[int]:
        return self.executor.submit(self.function, x)

    def gather(self, calls: Sequence[Future[int]]) -> list[int]:
        return results_of(calls)


def results_of(calls: Sequence[Future[int]]) -> list[int]:
    wait(calls, RESULT_S)
    return [call.result(0) for call in calls]
