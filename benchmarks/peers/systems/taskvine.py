"""How do calls run on TaskVine: as FunctionCalls of an installed library, its fastest way, on one local worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ndcctools import taskvine

from benchmarks.peers.interface import RESULT_S, WORKERS

_LIBRARY = "calls"


@dataclass(frozen=True, slots=True)
class OnTaskVine:
    manager: Any
    function: Callable[[int], int]

    def submit(self, x: int) -> int:
        number: int = self.manager.submit(taskvine.FunctionCall(_LIBRARY, self.function.__name__, x))
        return number

    def gather(self, calls: Sequence[int]) -> list[int]:
        """Its manager works only while somebody waits."""
        results = {}
        while not self.manager.empty():
            ended = self.manager.wait(RESULT_S)
            assert ended is not None, "no call has ended for too long"
            results[ended.id] = ended.output
        return [results[call] for call in calls]


@contextmanager
def started(function: Callable[[int], int], folder: str) -> Iterator[OnTaskVine]:
    manager = taskvine.Manager(port=0, run_info_path=folder)
    library = manager.create_library_from_functions(_LIBRARY, function, add_env=False)
    library.set_function_slots(WORKERS)
    manager.install_library(library)
    factory = taskvine.Factory("local", manager=manager)
    factory.min_workers = factory.max_workers = 1
    factory.cores = WORKERS
    with factory:
        yield OnTaskVine(manager, function)
