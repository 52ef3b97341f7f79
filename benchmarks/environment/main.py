"""Which figures does `python -m benchmarks.environment` measure, of which environment, and against which bound?"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.broadcast.outcome import BenchmarkError
from benchmarks.broadcast.quantities import rate
from benchmarks.counts import count
from benchmarks.environment.packing import Packed, pack_frames, pack_gzip
from benchmarks.environment.ready import Fleet, Ready, ready
from benchmarks.environment.shared import here_s, mounted_s
from benchmarks.environment.unpacking import tar_s, unpacking_s
from benchmarks.figures import Figure, show
from benchmarks.mnist_sweep.environment import build
from vine.errors import VineError

_PROJECT = Path(__file__).resolve().parents[2]

# 0.9 GB in 21,500 files. The common index has PyTorch's builds for GPUs only, which are six times as large.
REQUIREMENTS = ("numpy", "torch==2.13.0+cpu")
MODULES = "numpy, torch"  # What a task imports first.
_PARTS = ("packing", "ready")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parse(argv)
    try:
        if shutil.which("zstd") is None:
            raise BenchmarkError("`tar --zstd` is what is compared with, and there is no zstd: install it")
        prefix = _built(options)
        with tempfile.TemporaryDirectory(prefix="vine-environment-", dir=options.folder) as folder:
            show(_figures(prefix, Path(folder), options), as_json=options.json)
    except (VineError, BenchmarkError, subprocess.CalledProcessError) as error:
        print(f"benchmarks.environment: {error}", file=sys.stderr)
        return 1
    return 0


def _built(options: argparse.Namespace) -> Path:
    try:
        # Its interpreter is a copy: where its folder is mounted, links that lead out of that may not be followed.
        return build(options.cache, options.requirements, symlinks=False)
    except VineError as error:
        raise BenchmarkError(
            f"{error} PyTorch's builds for CPUs are in an index of their own: name that, or a folder that has them, by "
            "PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS, or other software by --requirements and --modules"
        ) from error


def _figures(prefix: Path, folder: Path, options: argparse.Namespace) -> Iterator[Figure]:
    frames = pack_frames(prefix, folder)
    if "packing" in options.parts:
        yield from _of_packing(frames, folder, options)
    if "ready" in options.parts:
        seconds = here_s(prefix, options.modules, options.rounds)
        yield Figure("environment_import_in_place_s", seconds, "s", {"from": "this disk", "imports": options.modules})
        for fleet in options.workers:
            yield from _of_ready(prefix, frames, folder, fleet, options)


def _of_packing(frames: Packed, folder: Path, options: argparse.Namespace) -> Iterator[Figure]:
    gzip = pack_gzip(frames, folder)
    about = {"files": frames.files, "content_bytes": frames.content_bytes}
    for name, packed in (("frames", frames), ("gzip", gzip)):
        size = packed.archive.stat().st_size
        yield Figure("environment_pack_s", packed.seconds, "s", {"as": name, **about})
        yield Figure("environment_pack_ratio", packed.ratio, "times", {"as": name, "bytes": size})
    unpacking = unpacking_s(frames, gzip, folder, options.rounds)
    for by, seconds in unpacking.items():
        yield Figure("environment_unpack_s", seconds, "s", {"by": by, "rounds": options.rounds})
    of_tarfile = unpacking["tarfile, gzip"] / unpacking["ours"]
    yield Figure("environment_unpack_of_tarfile", of_tarfile, "times", {"rounds": options.rounds})


def _of_ready(
    prefix: Path, frames: Packed, folder: Path, fleet: Fleet, options: argparse.Namespace
) -> Iterator[Figure]:
    """The hosts are all this machine, so what `tar` needs for the same work is that of as many at once."""
    place = {"workers": fleet.workers, "hosts": fleet.hosts, "mbit_per_s": options.rate * 8 / 1e6}
    params = {**place, "rounds": options.rounds}
    imports = {**params, "imports": options.modules}
    measured: Ready = ready(
        frames.archive, folder, fleet, options.rate, options.rounds, options.modules,
        lambda: tar_s(frames, folder, fleet.hosts),
    )  # fmt: skip
    yield Figure("environment_first_line_s", measured.first_line_s, "s", params)
    yield Figure("environment_first_line_s", measured.after_transfer_s, "s", {**params, "unpacked": "after transfer"})
    yield Figure("environment_first_import_s", measured.first_import_s, "s", imports)
    seconds = mounted_s(prefix, fleet.hosts, options.rate, options.modules, options.rounds)
    if seconds is not None:
        yield Figure("environment_import_in_place_s", seconds, "s", {"from": "a folder by sshfs", **imports})
    transfer_s = frames.archive.stat().st_size / options.rate
    bounds = {"transfer_s": round(transfer_s, 2), "tar_s": round(measured.tar_s, 2)}
    of_bound = max(transfer_s, measured.tar_s) / measured.first_line_s
    yield Figure("environment_ready_of_bound", of_bound, "", {**params, **bounds})


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environment", description=__doc__)
    parser.add_argument(
        "--workers",
        type=_fleets,
        default=_fleets("1,4,4/1"),
        metavar="N[/H],...",
        help="so many workers on H hosts, or each on a host of its own (default: 1,4,4/1)",
    )
    parser.add_argument("--rate", type=rate, default=rate("1gbit"), help="of each host's link (default: 1gbit)")
    parser.add_argument("--rounds", type=count, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS, help="what to measure (default: all)")
    parser.add_argument("--folder", type=Path, default=None, help="for archives and workers (default: temporary)")
    parser.add_argument("--cache", type=Path, default=_PROJECT / ".cache", help="keeps the environment")
    parser.add_argument(
        "--requirements",
        nargs="+",
        default=REQUIREMENTS,
        help=f"what is in it (default: {' '.join(REQUIREMENTS)})",
    )
    parser.add_argument("--modules", default=MODULES, help=f"what a task imports first (default: {MODULES})")
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    return parser.parse_args(argv)


def _fleets(text: str) -> tuple[Fleet, ...]:
    return tuple(_fleet(word) for word in text.split(","))


def _fleet(text: str) -> Fleet:
    found = re.fullmatch(r"(\d+)(?:/(\d+))?", text)
    workers, hosts = (int(found[1]), int(found[2] or found[1])) if found is not None else (0, 0)
    if not 1 <= hosts <= workers <= 64:
        raise argparse.ArgumentTypeError(
            f"{text!r} are no workers: give 1 to 64, or WORKERS/HOSTS, with commas between"
        )
    return Fleet(workers, hosts)
