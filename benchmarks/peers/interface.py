"""Which systems are compared, and what must each be able to do?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

WORKERS = 2  # of one core each, everywhere
RESULT_S = 120.0  # The most that one round may wait for a result before its system counts as stuck.


class System(Protocol):
    """A system that has started, with one function that it is to call."""

    def submit(self, x: int) -> Any:
        """One call, as its users submit one; returns what `gather` takes."""

    def gather(self, calls: Sequence[Any]) -> list[int]:
        """The results of these calls, as its users wait for many."""


# Each file in `systems` has such a `started`: it starts the system with its files in `folder`, for calls of `function`.
Started = Callable[[Callable[[int], int], str], AbstractContextManager[System]]


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    package: str  # what must be importable
    home: str  # the module in `systems` that starts it
    calls: int  # of a round: so many that it ends in seconds
    lone_calls: int = 300

    @property
    def installed(self) -> bool:
        return find_spec(self.package.partition(".")[0]) is not None


VINE = Peer("vine", "vine", "vine_executor", 10_000)
DASK = Peer("Dask distributed", "distributed", "dask_distributed", 5_000)
PARSL = Peer("Parsl HTEX", "parsl", "parsl_htex", 5_000)
# The same two, set for many short calls as their documentation says. What vine is compared with runs as it comes, too.
DASK_SET = Peer("... with saturation inf", "distributed", "dask_unlimited", 5_000)
PARSL_SET = Peer("... with prefetch 100", "parsl", "parsl_htex_prefetching", 5_000)
PEERS = (
    VINE,
    Peer("ProcessPoolExecutor", "concurrent", "process_pool", 10_000),
    DASK,
    DASK_SET,
    PARSL,
    PARSL_SET,
    Peer("Ray", "ray", "ray_tasks", 5_000),
    Peer("ipyparallel", "ipyparallel", "ipyparallel_view", 2_000),
    Peer("TaskVine", "ndcctools", "taskvine", 200, lone_calls=20),
)
