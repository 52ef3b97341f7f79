"""What lies on the shared filesystem is what would travel, and enough to start workers from."""

from __future__ import annotations

import importlib.metadata
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.mnist_sweep import environment, shared
from benchmarks.mnist_sweep.packing import Package, Packages
from tests.benchmarks.mnist_sweep.test_packing import joined
from vine.errors import VineError


def build(folder: Path, requirements: Sequence[str], symlinks: bool) -> Path:
    """As the true one, but nothing is installed: only noted."""
    prefix = folder / "environment-shared"
    venv.create(prefix, symlinks=symlinks)
    (prefix / "requirements").write_text("\n".join(requirements))
    return prefix


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    monkeypatch.setattr(environment, "build", build)
    packed = tmp_path / "environment"
    described = environment.site_packages(packed) / "numpy-2.1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.1.0\n")
    dataset = tmp_path / "mnist"
    dataset.mkdir()
    (dataset / "train.npy").write_bytes(b"digits")
    return Packages(*(Package(folder, tmp_path / "x.tar", joined) for folder in (packed, dataset)))


def test_the_same_software_in_the_same_versions_and_vine_beside_it(packages: Packages, tmp_path: Path) -> None:
    found = shared.prepare(tmp_path / "shared", packages)
    wanted = (found.environment / "requirements").read_text().splitlines()
    assert wanted[0] == "numpy==2.1.0"
    assert f"pyzmq=={importlib.metadata.version('pyzmq')}" in wanted
    assert not [name for name in wanted if name.startswith(("pytest", "matplotlib"))], "that is for developers"
    # and vine is there itself, compiled, not by a link to where it is developed
    ours = environment.site_packages(found.environment)
    assert (ours / "vine_worker" / "main.py").is_file() and not (ours / "vine_worker").is_symlink()
    assert (ours / "vine_function_host" / "start.py").is_file()
    assert list((ours / "vine" / "__pycache__").glob("config.*.pyc"))


def test_its_interpreter_and_dataset_need_nothing_that_lies_elsewhere(packages: Packages, tmp_path: Path) -> None:
    found = shared.prepare(tmp_path / "shared", packages)
    assert found.python.resolve().is_relative_to(tmp_path / "shared")
    ended = subprocess.run([found.python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
    assert ended.stdout.strip() == str(found.environment)
    assert (found.dataset / "train.npy").read_bytes() == b"digits"


def test_preparing_it_again_takes_what_has_changed(packages: Packages, tmp_path: Path) -> None:
    found = shared.prepare(tmp_path / "shared", packages)
    stale = environment.site_packages(found.environment) / "vine" / "removed_since.py"
    stale.touch()
    (packages.dataset.folder / "train.npy").write_bytes(b"others")
    assert shared.prepare(tmp_path / "shared", packages) == found
    assert not stale.exists()
    assert (found.dataset / "train.npy").read_bytes() == b"others"


def test_what_cannot_be_compiled_is_told_in_one_line(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.CompletedProcess([], 1, "", "*** Error\ndisk full\n")
    built = build(tmp_path / "shared", (), symlinks=True)
    monkeypatch.setattr(environment, "build", lambda *_, **__: built)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(VineError, match=r"^vine could not be compiled .*\(disk full\)$"):
        shared.prepare(tmp_path / "shared", packages)
