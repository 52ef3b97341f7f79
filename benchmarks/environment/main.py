"""Which figures does `python -m benchmarks.environment` measure, of which environment, and against which bound?"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.broadcast.outcome import BenchmarkError
from benchmarks.broadcast.quantities import rate
from benchmarks.counts import count
from benchmarks.environment.packing import Packed, pack, timed
from benchmarks.environment.ready import Ready, ready
from benchmarks.environment.unpacking import unpacking_s
from benchmarks.figures import Figure, show
from benchmarks.mnist_sweep.environment import build
from vine.errors import VineError

_PROJECT = Path(__file__).resolve().parents[2]

# About the size and number of files of PyTorch's CPU build with NumPy, which the common index does not have.
REQUIREMENTS = (
    "jax", "matplotlib", "networkx", "numba", "numpy", "pandas", "scikit-image", "scikit-learn", "scipy",
    "statsmodels", "sympy",
)  # fmt: skip
MODULES = "numpy, jax, sklearn"  # What a task imports first.


def main(argv: Sequence[str] | None = None) -> int:
    options = _parse(argv)
    try:
        prefix = build(options.cache, options.requirements)
        with tempfile.TemporaryDirectory(prefix="vine-environment-", dir=options.folder) as folder:
            show(_figures(prefix, Path(folder), options), as_json=options.json)
    except (VineError, BenchmarkError) as error:
        print(f"benchmarks.environment: {error}", file=sys.stderr)
        return 1
    return 0


def _figures(prefix: Path, folder: Path, options: argparse.Namespace) -> list[Figure]:
    if shutil.which("zstd") is None:
        raise BenchmarkError("`tar --zstd` is what is compared with, and there is no zstd: install it")
    packed = pack(prefix, folder)
    about = {"files": packed.files, "content_bytes": packed.content_bytes, "rounds": options.rounds}
    found = [*_of_packing(packed, about)]
    unpacking = unpacking_s(packed, folder, options.rounds)
    found += _of_unpacking(unpacking, about)
    found.append(_in_place(prefix, options))
    for workers in options.workers:
        measured = ready(packed.frames, folder, workers, options.rate, options.rounds, options.modules)
        found += _of_ready(measured, workers, packed, unpacking["tar --zstd"], options)
    return found


def _of_packing(packed: Packed, about: dict[str, int]) -> Iterator[Figure]:
    yield Figure("environment_pack_s", packed.frames_s, "s", {"as": "frames", **about})
    yield Figure("environment_pack_s", packed.gzip_s, "s", {"as": "gzip", **about})
    for name, path in (("frames", packed.frames), ("gzip", packed.gzip)):
        size = path.stat().st_size
        yield Figure("environment_pack_ratio", packed.content_bytes / size, "times", {"as": name, "bytes": size})


def _of_unpacking(unpacking: dict[str, float], about: dict[str, int]) -> list[Figure]:
    found = [Figure("environment_unpack_s", seconds, "s", {"by": by, **about}) for by, seconds in unpacking.items()]
    of_tarfile = unpacking["tarfile, gzip"] / unpacking["ours"]
    return [*found, Figure("environment_unpack_of_tarfile", of_tarfile, "times", about)]


def _in_place(prefix: Path, options: argparse.Namespace) -> Figure:
    """As from a shared folder that costs nothing: this machine's own, which has just been read."""
    command = [str(prefix / "bin" / "python"), "-c", f"import {options.modules}"]
    seconds = sorted(timed(lambda: subprocess.run(command, check=True)) for _ in range(options.rounds))
    return Figure("environment_import_in_place_s", seconds[len(seconds) // 2], "s", {"imports": options.modules})


def _of_ready(
    measured: Ready, workers: int, packed: Packed, tar_s: float, options: argparse.Namespace
) -> Iterator[Figure]:
    transfer_s = packed.frames.stat().st_size / options.rate
    params = {"workers": workers, "mbit_per_s": options.rate * 8 / 1e6, "rounds": options.rounds}
    yield Figure("environment_first_line_s", measured.first_line_s, "s", params)
    yield Figure("environment_first_line_s", measured.after_transfer_s, "s", {**params, "unpacked": "after transfer"})
    yield Figure("environment_first_import_s", measured.first_import_s, "s", {**params, "imports": options.modules})
    bounds = {"transfer_s": round(transfer_s, 2), "tar_s": round(tar_s, 2)}
    of_bound = max(transfer_s, tar_s) / measured.first_line_s
    yield Figure("environment_ready_of_bound", of_bound, "", {**params, **bounds})


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environment", description=__doc__)
    parser.add_argument("--workers", type=_numbers, default=(1, 4), metavar="N[,N...]", help="default: 1,4")
    parser.add_argument("--rate", type=rate, default=rate("1gbit"), help="of each host's link (default: 1gbit)")
    parser.add_argument("--rounds", type=count, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--folder", type=Path, default=None, help="for archives and workers (default: temporary)")
    parser.add_argument("--cache", type=Path, default=_PROJECT / ".cache", help="keeps the environment")
    parser.add_argument(
        "--requirements",
        nargs="+",
        default=REQUIREMENTS,
        help="what is in it (default: scientific Python)",
    )
    parser.add_argument("--modules", default=MODULES, help=f"what a task imports first (default: {MODULES})")
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    return parser.parse_args(argv)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(word) for word in text.split(","))
    if not all(1 <= number <= 64 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} are no numbers of workers: give 1 to 64, with commas between")
    return numbers
