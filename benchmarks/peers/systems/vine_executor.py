"""How do calls run on vine: by its Executor, with one local worker that has two slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass

import vine
from benchmarks.peers.interface import RESULT_S, WORKERS


@dataclass(frozen=True, slots=True)
class OnVine:
    executor: vine.Executor
    function: Callable[[int], int]

    def submit(self, x: int) -> Future[int]:
        return self.executor.submit(self.function, x)

    def gather(self, calls: Sequence[Future[int]]) -> list[int]:
        wait(calls, RESULT_S)
        return [call.result(0) for call in calls]


@contextmanager
def started(function: Callable[[int], int], folder: str) -> Iterator[OnVine]:
    """Encryption and journal are on, as they are for users."""
    with vine.Executor(cores=WORKERS, run_info_path=folder) as executor:
        yield OnVine(executor, function)
