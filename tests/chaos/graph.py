"""Which work goes on while things break: a graph of calls with a shared input, whose every result is known before."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import Future
from pathlib import Path

import vine
from tests.waiting import GIVE_UP_S

TASKS = int(os.environ.get("VINE_CHAOS_TASKS", "10000"))
_FAN_IN = 10
_SLICE_BYTES = 4096
_SHARED_BYTES = 16 << 20


def checksum_of(number: int) -> int:
    """Of a slice of the shared input, which lies where the call runs."""
    with open("data", "rb") as file:
        file.seek(number * _SLICE_BYTES % _SHARED_BYTES)
        return zlib.crc32(file.read(_SLICE_BYTES))


def total(parts: list[int]) -> int:
    """Of the results of other calls."""
    return sum(parts)


class Graph:
    """Leaves that read the shared input, and sums of ten results each, up to one."""

    def __init__(self, manager: vine.Manager, folder: Path, tasks: int = TASKS) -> None:
        content = os.urandom(_SHARED_BYTES)
        path = folder / "shared"
        path.write_bytes(content)
        leaves = tasks * (_FAN_IN - 1) // _FAN_IN
        at = [number * _SLICE_BYTES % _SHARED_BYTES for number in range(leaves)]
        self.expected = [zlib.crc32(content[begin : begin + _SLICE_BYTES]) for begin in at]
        executor = vine.Executor(manager)
        read = executor.options(inputs={"data": manager.declare_file(path)}, retries=5)
        add = executor.options(retries=5)
        self.leaves: list[Future[int]] = [read.submit(checksum_of, number) for number in range(leaves)]
        self.tasks = leaves
        level = self.leaves
        while len(level) > 1:
            level = [add.submit(total, level[at : at + _FAN_IN]) for at in range(0, len(level), _FAN_IN)]
            self.tasks += len(level)
        (self.root,) = level

    def done(self) -> int:
        """How many leaves have their results."""
        return sum(leaf.done() for leaf in self.leaves)

    def check(self, timeout_s: float = 4 * GIVE_UP_S) -> None:
        """Wait for all of it: every future resolves, and every result is right."""
        assert self.root.result(timeout_s) == sum(self.expected)
        assert [leaf.result(timeout_s) for leaf in self.leaves] == self.expected
