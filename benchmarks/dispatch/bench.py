"""What do the benchmarks of dispatch run on: one manager, and one local worker with a slot for each core here?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import vine

SLOTS = 2
RESULT_S = 120.0  # The most that a round may wait for one more result before it is called lost.
_READY_S = 60.0  # The most that a worker on this machine may take to come.


@dataclass(frozen=True, slots=True)
class Bench:
    """A manager with one local worker of two slots, ready."""

    manager: vine.Manager
    executor: vine.Executor


@contextmanager
def bench() -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="vine-dispatch-") as folder,
        vine.Manager(run_info_path=folder) as manager,
        vine.Executor(manager, min_workers=1, max_workers=1, cores=SLOTS) as executor,
    ):
        manager.wait_for_workers(1, timeout=_READY_S)
        yield Bench(manager, executor.options(cores=1))


def inc(x: int) -> int:
    return x + 1
