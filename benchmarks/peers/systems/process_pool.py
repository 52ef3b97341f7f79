"""How do calls run on the standard library's ProcessPoolExecutor: no network, no files, no second machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from benchmarks.peers.interface import WORKERS
from benchmarks.peers.systems.executors import OnExecutor


@contextmanager
def started(function: Callable[[int], int], folder: str) -> Iterator[OnExecutor]:
    with ProcessPoolExecutor(WORKERS) as executor:
        yield OnExecutor(executor, function)
