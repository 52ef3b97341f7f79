"""How do calls run on ipyparallel: through the load-balanced view of a local cluster of two engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ipyparallel

from benchmarks.peers.interface import RESULT_S, WORKERS


@dataclass(frozen=True, slots=True)
class OnIpyparallel:
    view: Any
    function: Callable[[int], int]

    def submit(self, x: int) -> Any:
        return self.view.apply_async(self.function, x)

    def gather(self, calls: Sequence[Any]) -> list[int]:
        self.view.wait(list(calls), timeout=RESULT_S)
        return [call.get(timeout=0) for call in calls]


@contextmanager
def started(function: Callable[[int], int], folder: str) -> Iterator[OnIpyparallel]:
    with ipyparallel.Cluster(n=WORKERS, profile_dir=folder, log_level=40) as client:
        client.wait_for_engines(WORKERS, timeout=RESULT_S)
        yield OnIpyparallel(client.load_balanced_view(), function)
