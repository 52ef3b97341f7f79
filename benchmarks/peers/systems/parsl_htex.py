"""How do calls run on Parsl: as python apps on its HighThroughputExecutor, one local block of two workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import parsl
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from benchmarks.peers.interface import WORKERS
from benchmarks.peers.systems.executors import results_of


@dataclass(frozen=True, slots=True)
class OnParsl:
    app: Callable[[int], Future[int]]

    def submit(self, x: int) -> Future[int]:
        return self.app(x)

    def gather(self, calls: Sequence[Future[int]]) -> list[int]:
        return results_of(calls)


@contextmanager
def started(function: Callable[[int], int], folder: str, prefetch_capacity: int = 0) -> Iterator[OnParsl]:
    """Without its logs and its scaling strategy, which cost time; encrypted, which is its default.

    `prefetch_capacity` calls wait at the workers; none is its default.
    """
    executor = HighThroughputExecutor(
        label="htex",
        address="127.0.0.1",
        max_workers_per_node=WORKERS,
        cores_per_worker=1,
        prefetch_capacity=prefetch_capacity,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    config = parsl.Config(executors=[executor], run_dir=folder, strategy="none", initialize_logging=False)
    with parsl.load(config) as kernel:
        yield OnParsl(parsl.python_app(function, data_flow_kernel=kernel))
