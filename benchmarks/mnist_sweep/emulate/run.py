"""How does the sweep go with each distribution on hosts with shaped links, one of which serves files?

Each distribution begins with a manager, workers and mounts of its own, all caches empty. Its clock begins when the
workers are connected, so that what they themselves are started from is no part of any.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import vine
from benchmarks.broadcast import namespaces
from benchmarks.broadcast.processes import Where
from benchmarks.mnist_sweep.emulate import filesystem
from benchmarks.mnist_sweep.fleet import Fleet, share
from benchmarks.mnist_sweep.options import Options
from benchmarks.mnist_sweep.packing import Packages
from benchmarks.mnist_sweep.programs import Programs
from benchmarks.mnist_sweep.provision import in_place, staged
from benchmarks.mnist_sweep.report import Run
from benchmarks.mnist_sweep.run import Site, measure, workspace_folder
from benchmarks.mnist_sweep.shared import Shared

DISTRIBUTIONS = ("shared-fs", "vine", "vine-hot")
_SERVER = 0  # Which host serves files; the next one is the manager's.
_READY_S = 60.0  # The most that the manager may take to start.
_BLOCK = 1 << 20
_MEMORY = Path("/dev/shm")
_SPARE = 1.5  # Times what is unpacked and packed: sandboxes, and blocks that are not full.


@dataclass(frozen=True, slots=True)
class Hosts:
    server: Where
    manager: Where
    workers: tuple[Where, ...]
    disks: Path | None  # see `disks`


def emulate(
    options: Options, packages: Packages, shared: Shared, disks: Path | None, ended: Callable[[Run], None]
) -> None:
    """A run with each distribution, on the same hosts; none follows one that was interrupted."""
    with namespaces.hosts(options.workers + 2, options.rate) as (server, manager, *workers):
        hosts = Hosts(server, manager, tuple(workers), disks)
        for distribution in DISTRIBUTIONS:
            run = _run(replace(options, distribution=distribution), packages, shared, hosts)
            ended(run)
            if run.figures["interrupted"]:
                raise KeyboardInterrupt


def _run(options: Options, packages: Packages, shared: Shared, hosts: Hosts) -> Run:
    on_shared = options.distribution == "shared-fs"
    records = _records(options)
    logs = records / "logs"
    with workspace_folder(hosts.disks) as workspace, ExitStack() as mounts:
        python, places = Path(sys.executable), list(hosts.workers)
        if on_shared:
            read_all(shared.environment, shared.dataset)
            keys = Path(mounts.enter_context(tempfile.TemporaryDirectory(prefix="vine-sweep-keys-")))
            folder = shared.environment.parent
            python = shared.python
            places = mounts.enter_context(filesystem.shared(folder, hosts.server, places, keys, logs))
        os.sync()  # What the run before has written is not for this one's disk to catch up with.
        size = share(options.workers, options.worker_cores, workspace)
        with _site(hosts.manager, Fleet(python, places, workspace, size, apart=True), records) as site:
            served, start_s = namespaces.sent_bytes(_SERVER), time.perf_counter()
            pack_s = packages.pack() if options.distribution == "vine" else 0.0
            provision = in_place(shared) if on_shared else staged(site.manager, packages, "workflow", workspace)
            run = measure(site, provision, options, packages, start_s, {"pack_s": pack_s})
            run.figures["mb_from_shared_fs"] = (namespaces.sent_bytes(_SERVER) - served) / 1e6
            return run


@contextmanager
def _site(where: Where, fleet: Fleet, records: Path) -> Iterator[Site]:
    run_dir = records / "run"
    with Programs(records / "logs") as programs:
        words = [sys.executable, "-m", "vine.manager.main", "--run-dir", str(run_dir), "--bind", where.address]
        programs.start("manager", [*where.prefix, *words], watching=True)
        programs.await_word("manager", "ready ", _READY_S)
        with vine.Manager(connection=run_dir) as manager, vine.Executor(manager) as executor:
            fleet.start(programs, manager)
            yield Site(manager, executor, programs.check)


def _records(options: Options) -> Path:
    """A new folder for what the run's programs write down."""
    parent = options.out.resolve() / "vine-run-info"
    parent.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{options.distribution}-", dir=parent))


def disks(hosts: int, packages: Packages) -> Path | None:
    """Where the hosts' disks are: in memory if they fit, None for the temporary folder.

    Every host has a disk of its own, and all of them write at once. On the one disk of this machine they would wait
    for each other as they do nowhere else.
    """
    sizes = [amount for package in (packages.environment, packages.dataset) for amount in package.sizes().values()]
    needed = _SPARE * hosts * sum(sizes)
    fits = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= needed
    return _MEMORY if fits else None


def read_all(*folders: Path) -> None:
    """So that the server has them in memory: its disk is that of all hosts, and no part of what is emulated."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    while file.read(_BLOCK):
                        pass
