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
    """An archive, and what is in it."""

    archive: Path
    seconds: float
    content_bytes: int
    files: int

    @property
    def ratio(self) -> float:
        return self.content_bytes / self.archive.stat().st_size


def pack_frames(prefix: Path, folder: Path) -> Packed:
    """Pack the environment as it is packed for workers; the archive is left in `folder`."""
    archive = folder / "environment.tar.zst"
    seconds = timed(lambda: pack_virtualenv(prefix, archive))
    contents = unpack(archive, folder / "tree")
    paths = [folder / "tree" / name for name in contents.versions]
    files = sum(path.is_file() and not path.is_symlink() for path in paths)
    remove(folder / "tree")
    return Packed(archive, seconds, contents.size, files)


def pack_gzip(frames: Packed, folder: Path) -> Packed:
    """The same members as gzip."""
    archive, tree = folder / "environment.tar.gz", folder / "tree"
    unpack(frames.archive, tree)

    def write() -> None:
        with tarfile.open(archive, "w:gz", compresslevel=_GZIP_LEVEL) as tar:
            tar.add(tree, ".")

    seconds = timed(write)
    remove(tree)
    return Packed(archive, seconds, frames.content_bytes, frames.files)


def timed(run: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    run()
    return time.perf_counter() - start_s


def remove(folder: Path) -> None:
    """Read-only folders too; by a program, so that it is quick."""
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    os.sync()  # What is still to be written of it is not the next measurement's.
