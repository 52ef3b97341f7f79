"""What travels to the workers: the environment and the dataset, each as one tarball kept in the cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mnist_sweep import data, environment
from vine.environments.pack import pack_tree, pack_virtualenv

Packer = Callable[[Path, Path], Path]


@dataclass(frozen=True, slots=True)
class Package:
    """A folder, and the tarball that its content travels as."""

    folder: Path
    tarball: Path
    pack_with: Packer

    def pack(self) -> float:
        """Make the tarball, anew if it is there; returns the seconds that it took."""
        start_s = time.perf_counter()
        self.tarball.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own until it is whole, so that an interrupted run is never taken for a packed one.
        self.pack_with(self.folder, started := self.tarball.with_name("partial-" + self.tarball.name))
        started.replace(self.tarball)
        return time.perf_counter() - start_s

    def sizes(self) -> dict[str, int]:
        return {"packed_bytes": self.tarball.stat().st_size, "unpacked_bytes": folder_bytes(self.folder)}


@dataclass(frozen=True, slots=True)
class Packages:
    environment: Package
    dataset: Package

    def pack(self) -> float:
        return self.environment.pack() + self.dataset.pack()

    def pack_missing(self) -> None:
        for package in (self.environment, self.dataset):
            if not package.tarball.exists():
                package.pack()


def prepare(cache: Path, mnist: Path | None, requirements: Sequence[str] = environment.REQUIREMENTS) -> Packages:
    """Both folders, made where they are not in the cache yet; nothing is packed."""
    prefix = environment.build(cache, requirements)
    dataset = _dataset(cache, mnist)
    tarballs = cache / "packed"
    return Packages(
        Package(prefix, tarballs / f"{prefix.name}.tar.zst", pack_virtualenv),
        Package(dataset, tarballs / f"{dataset.name}.tar.zst", pack_tree),
    )


def _dataset(cache: Path, mnist: Path | None) -> Path:
    """The folder of the digits' .npy files, named after where they come from."""
    if mnist is None:
        folder = cache / "mnist"
    else:
        source = hashlib.sha256(str(mnist.resolve()).encode()).hexdigest()[:12]
        folder = cache / f"mnist-{source}"
    # The digits of a user's folder may have changed since; ours are checked by their hash.
    if mnist is not None or not data.is_written(folder):
        digits = data.read_pickle(data.fetch(cache)) if mnist is None else data.read_idx_folder(mnist)
        data.write_folder(digits, folder)
    return folder


def folder_bytes(folder: Path) -> int:
    """How much the files of a folder hold, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
