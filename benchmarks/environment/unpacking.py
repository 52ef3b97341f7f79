"""How long does each way of unpacking take, side by side: ours, GNU tar with zstd, and Python's tarfile on gzip?"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.environment.packing import Packed, remove, timed

_TARFILE = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='fully_trusted')"


def unpacking_s(packed: Packed, folder: Path, rounds: int) -> dict[str, float]:
    """The median of each; every program starts anew, as it does on a worker."""
    out = folder / "unpacked"
    ways = {
        "ours": [sys.executable, "-m", "vine.content.archive", str(packed.frames), str(out)],
        "tar --zstd": ["tar", "--zstd", "-xf", str(packed.frames), "-C", str(out)],
        "tarfile, gzip": [sys.executable, "-c", _TARFILE, str(packed.gzip), str(out)],
        "ours, gzip": [sys.executable, "-m", "vine.content.archive", str(packed.gzip), str(out)],
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            out.mkdir()
            found[name].append(timed(lambda command=command: subprocess.run(command, check=True)))  # type: ignore[misc]
            remove(out)
    return {name: statistics.median(values) for name, values in found.items()}
