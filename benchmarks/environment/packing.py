"""How long does packing take, and how small does it get: as frames, and as conda-pack's default, one stream of gzip?"""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vine.content.archive import unpack
from vine.environments.pack import pack_virtualenv

_GZIP_LEVEL = 4  # conda-pack's default.


@dataclass(frozen=True, slots=True)
class Packed:
    """An environment as two archives of the same members."""

    frames: Path
    gzip: Path
    frames_s: float
    gzip_s: float
    content_bytes: int
    files: int


def pack(prefix: Path, folder: Path) -> Packed:
    """Pack the environment, then the same members as gzip, which are left where both are found: in `folder`."""
    frames, gzipped = folder / "environment.tar.zst", folder / "environment.tar.gz"
    frames_s = timed(lambda: pack_virtualenv(prefix, frames))
    tree = folder / "tree"
    unpack(frames, tree)
    sizes = [path.lstat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]

    def write() -> None:
        with tarfile.open(gzipped, "w:gz", compresslevel=_GZIP_LEVEL) as archive:
            archive.add(tree, ".")

    gzip_s = timed(write)
    remove(tree)
    return Packed(frames, gzipped, frames_s, gzip_s, sum(sizes), len(sizes))


def timed(run: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    run()
    return time.perf_counter() - start_s


def remove(folder: Path) -> None:
    """Read-only folders too; by a program, so that it is quick."""
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    os.sync()  # What is still to be written of it is not the next measurement's.
