"""How long does each way of unpacking take, side by side: ours, GNU tar with zstd, and Python's tarfile on gzip?"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.environment.packing import Packed, remove, timed

# As it does by itself before Python 3.14; those before 3.11.4 know of no filters.
_TARFILE = """
import sys, tarfile
archive = tarfile.open(sys.argv[1])
archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
archive.extractall(sys.argv[2])
"""


def unpacking_s(frames: Packed, gzip: Packed, folder: Path, rounds: int) -> dict[str, float]:
    """The median of each; every program starts anew, as it does on a worker."""
    ours = [sys.executable, "-m", "vine.content.archive"]
    ways: dict[str, Callable[[Path], list[str]]] = {
        "ours": lambda out: [*ours, str(frames.archive), str(out)],
        "tar --zstd": lambda out: _tar(frames.archive, out),
        "tarfile, gzip": lambda out: [sys.executable, "-c", _TARFILE, str(gzip.archive), str(out)],
        "ours, gzip": lambda out: [*ours, str(gzip.archive), str(out)],
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(_side_by_side_s(way, folder, 1))
    return {name: statistics.median(values) for name, values in found.items()}


def tar_s(frames: Packed, folder: Path, hosts: int) -> float:
    """What `tar --zstd` needs where so many hosts, which are all this machine, unpack at the same time."""
    return _side_by_side_s(lambda out: _tar(frames.archive, out), folder, hosts)


def _tar(archive: Path, out: Path) -> list[str]:
    return ["tar", "--zstd", "-xf", str(archive), "-C", str(out)]


def _side_by_side_s(way: Callable[[Path], list[str]], folder: Path, count: int) -> float:
    """Until the last of so many is done, each in a folder of its own."""
    places = [folder / f"unpacked-{number}" for number in range(count)]
    for place in places:
        place.mkdir()

    def run() -> None:
        programs = [subprocess.Popen(way(place)) for place in places]
        for program in programs:
            if program.wait():
                raise subprocess.CalledProcessError(program.returncode, program.args)

    seconds = timed(run)
    for place in places:
        remove(place)
    return seconds
