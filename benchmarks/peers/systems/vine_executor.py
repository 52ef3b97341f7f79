"""How do calls run on vine: by its Executor, with one local worker that has two slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import vine
from benchmarks.peers.interface import WORKERS
from benchmarks.peers.systems.executors import OnExecutor


@contextmanager
def started(function: Callable[[int], int], folder: str) -> Iterator[OnExecutor]:
    """Encryption and journal are on, as they are for users."""
    with vine.Executor(cores=WORKERS, run_info_path=folder) as executor:
        yield OnExecutor(executor, function)
