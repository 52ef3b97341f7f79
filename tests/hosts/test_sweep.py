"""The sweep between hosts that share a filesystem: network namespaces, sshd in one of them, sshfs in the others.

These tests need root, iproute2, sshfs, openssh-server and a kernel with FUSE, and say which is missing. The tasks'
environment is a stand-in of a few lines for NumPy and scikit-learn; all else is real.
"""

from __future__ import annotations

import json
import os
import signal
import sysconfig
import threading
import venv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest

from benchmarks.broadcast import namespaces
from benchmarks.mnist_sweep import environment, main, packing
from benchmarks.mnist_sweep.emulate import filesystem
from benchmarks.mnist_sweep.packing import Package, Packages
from tests.live.helpers import SOURCES
from tests.waiting import until
from vine.environments.pack import pack_tree, pack_virtualenv

pytestmark = pytest.mark.live

# Only what the sweep's function uses. Training lasts as long as there are images above 512.
NUMPY = """
__version__ = "0"
class Digits(list):
    def __getitem__(self, which): return Digits(list.__getitem__(self, which))
    def astype(self, kind): return self
    def __truediv__(self, number): return self
def load(path, mmap_mode=None):
    with open(path, "rb") as file: return Digits(file.read())
"""
# More than 512 images take seconds, so that a run can be interrupted while trainings are under way.
NETWORK = """
import time
class MLPClassifier:
    def __init__(self, **options): self.rate = options["learning_rate_init"]
    def fit(self, images, labels): time.sleep(max(0, len(images) - 512))
    def score(self, images, labels): return self.rate
"""
MODULES = {
    "numpy.py": NUMPY,
    "threadpoolctl.py": "import contextlib\nthreadpool_limits = contextlib.nullcontext\n",
    "sklearn/__init__.py": "__version__ = '0'\n",
    "sklearn/exceptions.py": "class ConvergenceWarning(Warning): pass\n",
    "sklearn/neural_network.py": NETWORK,
}


def stand_in(folder: Path, requirements: Sequence[str] = (), symlinks: bool = True) -> Path:
    """An environment without downloads; the one to be shared has what vine needs from our own."""
    prefix = folder / "environment"
    if prefix.exists():
        return prefix
    venv.create(prefix, symlinks=symlinks)
    for name, text in MODULES.items():
        path = environment.site_packages(prefix) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    if not symlinks:
        (environment.site_packages(prefix) / "own.pth").write_text(sysconfig.get_path("platlib"))
    return prefix


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lacking = filesystem.missing()
    assert not lacking, f"tests/hosts needs {lacking}: run it as root with them, or with --ignore tests/hosts"
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    dataset = tmp_path / "mnist"
    dataset.mkdir()
    for name in ("train", "valid", "test"):
        for kind in ("images", "labels"):
            (dataset / f"{name}_{kind}.npy").write_bytes(os.urandom(2000))
    packages = Packages(
        Package(stand_in(tmp_path), tmp_path / "environment.tar.zst", pack_virtualenv),
        Package(dataset, tmp_path / "mnist.tar.zst", pack_tree),
    )
    monkeypatch.setattr(packing, "prepare", lambda cache, mnist: packages)
    monkeypatch.setattr(environment, "build", stand_in)
    return tmp_path / "out"


def sweep(out: Path, tasks: int, images: int) -> int:
    shared = out.parent / "shared-fs"
    sizes = ("--hosts", "2", "--rate", "1gbit", "--tasks", str(tasks), "--images", str(images))
    return main.main(["--mode", "emulate", *sizes, "--shared", str(shared), "--out", str(out)])


def remains() -> list[str]:
    """What an emulation could leave: namespaces, links, programs, mounts, keys, disks."""
    names = (program.info["name"] for program in psutil.process_iter(["name"]))
    programs = [name for name in names if name in ("sshfs", "sshd")]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if "fuse.sshfs" in line]
    folders = [str(path) for parent in ("/tmp", "/dev/shm") for path in Path(parent).glob("vine-sweep-*")]
    return [*namespaces.leftovers(), *programs, *mounts, *folders]


def test_two_hosts_run_the_sweep_in_place_and_staged_and_nothing_is_left(out: Path) -> None:
    before = remains()
    assert sweep(out, tasks=4, images=512) == 0
    summary = json.loads((out / "summary.json").read_text())
    in_place, staged, hot = (summary[name] for name in ("shared-fs", "vine", "vine-hot"))
    # Each distribution's tasks ran on what it provides, and each moved it by its own way.
    assert in_place["prefixes"] == [str(out.parent / "shared-fs" / "environment")]
    assert all("vine-store" in prefix for prefix in staged["prefixes"] + hot["prefixes"])
    assert in_place["mb_from_shared_fs"] > 0.01 > staged["mb_from_shared_fs"]
    assert in_place["mb_from_manager"] < 0.01
    assert (staged["pack_s"] > 0, hot["pack_s"]) == (True, 0.0)
    # All of them did the same.
    assert in_place["best_accuracy"] == staged["best_accuracy"] == hot["best_accuracy"] > 0
    until(lambda: remains() == before, "nothing is left")  # sshd's sessions end when their connections have.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_leaves_nothing(out: Path, number: signal.Signals) -> None:
    before = remains()
    handler = signal.getsignal(signal.SIGTERM)
    shared = out.parent / "shared-fs"
    interrupter = threading.Thread(target=_when, args=(partial(_runs_in, shared), lambda: os.kill(os.getpid(), number)))
    interrupter.start()
    try:
        assert sweep(out, tasks=2, images=2000) == 130
    finally:
        interrupter.join()
        signal.signal(signal.SIGTERM, handler)
    # sshd's sessions end when their connections have.
    until(lambda: remains() == before and not _runs_in(shared), "nothing is left")


def _runs_in(shared: Path) -> bool:
    """Tasks are under way in an interpreter that lies there."""
    words = (program.info["cmdline"] or [] for program in psutil.process_iter(["cmdline"]))
    return any(line[:1] and str(shared) in line[0] and "vine_function_host" in " ".join(line) for line in words)


def _when(condition: Callable[[], bool], act: Callable[[], None]) -> None:
    try:
        until(condition, "tasks run")
    finally:
        act()  # Or the sweep would go on.
