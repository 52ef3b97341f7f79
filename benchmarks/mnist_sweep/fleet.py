"""How are workers started by their command: on an interpreter of our choice, in places of our choice?"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vine
from benchmarks.broadcast.processes import Where
from benchmarks.mnist_sweep.programs import Programs
from vine.errors import VineError
from vine.wire.parts import Request, Resources
from vine_factory.launchers.local import measure_machine, share_of_machine

_READY_S = 120.0  # The most that all of them may take to come: cold shared filesystems are slow.
_LOOK_S = 0.2  # How often it is looked whether one has ended instead.
# By which modules of our own interpreter would show through on another.
_FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers of one size on one interpreter, each in its place, all with the same workspace."""

    python: Path
    places: Sequence[Where]
    workspace: Path
    size: Resources
    apart: bool  # Each is a host of its own, reached by its place's address.

    def names(self) -> list[str]:
        return [f"w{number:02}" for number in range(len(self.places))]

    def command(self, number: int, connection: Path) -> list[str]:
        name, where, size = self.names()[number], self.places[number], self.size
        words = [*where.prefix, str(self.python), "-m", "vine_worker.main", "--worker-id", name]
        words += ["--connection", str(connection), "--workspace", str(self.workspace)]
        words += ["--cores", f"{size.cores:g}", "--memory", f"{size.memory_mb:.0f}", "--disk", f"{size.disk_mb:.0f}"]
        return words + (["--host-name", f"host-{name}", "--address", where.address] if self.apart else [])

    def start(self, programs: Programs, manager: vine.Manager) -> None:
        """Returns when all are connected; VineError if one has ended instead, or if they do not come."""
        connection = Path(manager.connection_file).absolute()
        variables = None
        if self.python != Path(sys.executable):
            variables = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        for number, name in enumerate(self.names()):
            programs.start(name, self.command(number, connection), variables, watching=True)
        give_up_at = time.monotonic() + _READY_S
        while time.monotonic() < give_up_at:
            with contextlib.suppress(TimeoutError):
                return manager.wait_for_workers(len(self.places), timeout=_LOOK_S)
            programs.check()
        raise VineError(f"{manager.stats.workers} of {len(self.places)} workers came within {_READY_S:g} s")


def share(workers: int, cores: int, workspace: Path) -> Resources:
    """The size that the factory would give each of so many workers here."""
    return share_of_machine(measure_machine(workspace), workers, Request(cores=cores))
