"""How do calls run on Dask distributed: a LocalCluster of two processes with one thread each, and its Client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dask
from distributed import Client, Future, LocalCluster

from benchmarks.peers.interface import WORKERS


@dataclass(frozen=True, slots=True)
class OnDask:
    client: Client
    function: Callable[[int], int]

    def submit(self, x: int) -> Future:
        # Not `pure`: equal calls are calls of their own, and no arguments are hashed to find them.
        return self.client.submit(self.function, x, pure=False)

    def gather(self, calls: Sequence[Future]) -> list[int]:
        return list(self.client.gather(list(calls)))


@contextmanager
def started(function: Callable[[int], int], folder: str, saturation: float = 1.1) -> Iterator[OnDask]:
    """Without its dashboard, which costs time, and without encryption, which is its default.

    `saturation` calls for each thread are at a worker, at the most; 1.1 is its default.
    """
    with (
        dask.config.set({"distributed.scheduler.worker-saturation": saturation}),
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=folder
        ) as cluster,
        Client(cluster) as client,
    ):
        yield OnDask(client, function)
