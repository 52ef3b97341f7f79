"""How do calls run on Ray: as remote tasks on a local node of two processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Read when it is imported: nothing is to be told to anybody.

import ray

from benchmarks.peers.interface import RESULT_S, WORKERS


@dataclass(frozen=True, slots=True)
class OnRay:
    remote: Any

    def submit(self, x: int) -> Any:
        return self.remote.remote(x)

    def gather(self, calls: Sequence[Any]) -> list[int]:
        return list(ray.get(list(calls), timeout=RESULT_S))


@contextmanager
def started(function: Callable[[int], int], folder: str) -> Iterator[OnRay]:
    """Without its dashboard; on the loopback address only."""
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    try:
        yield OnRay(ray.remote(function))
    finally:
        ray.shutdown()
