"""How long does an import take in place: from this machine's disk, and from a folder that hosts mount over links?"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.broadcast import namespaces
from benchmarks.broadcast.processes import Where
from benchmarks.environment.packing import timed
from benchmarks.mnist_sweep.emulate import filesystem


def here_s(prefix: Path, modules: str, rounds: int) -> float:
    """From this disk, which has just been read: a shared folder that costs nothing."""
    return statistics.median(_import_s(prefix, [Where()], modules) for _ in range(rounds))


def mounted_s(prefix: Path, hosts: int, link_bytes_per_s: float, modules: str, rounds: int) -> float | None:
    """Until the last of so many hosts has it, by sshfs, nothing cached on them; None where that cannot be had here."""
    if lacks := filesystem.missing():
        sys.stderr.write(f"no import from a shared folder was measured: this machine lacks {' and '.join(lacks)}\n")
        return None
    with namespaces.hosts(hosts + 1, link_bytes_per_s) as (server, *others):
        return statistics.median(_mounted_once_s(prefix, server, others, modules) for _ in range(rounds))


def _mounted_once_s(prefix: Path, server: Where, others: list[Where], modules: str) -> float:
    with tempfile.TemporaryDirectory(prefix="vine-environment-") as folder:
        keys, logs = Path(folder) / "keys", Path(folder) / "logs"
        for made in (keys, logs):
            made.mkdir(mode=0o700)
        with filesystem.shared(prefix, server, others, keys, logs) as places:
            return _import_s(prefix, places, modules)


def _import_s(prefix: Path, places: list[Where], modules: str) -> float:
    words = [str(prefix / "bin" / "python"), "-c", f"import {modules}"]

    def run() -> None:
        programs = [subprocess.Popen([*place.prefix, *words]) for place in places]
        for program in programs:
            if program.wait():
                raise subprocess.CalledProcessError(program.returncode, program.args)

    return timed(run)
