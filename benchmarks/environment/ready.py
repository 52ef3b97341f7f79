"""How long after a task was submitted does its environment's interpreter run its first line, on workers without it?"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import vine
from benchmarks.broadcast import namespaces
from benchmarks.broadcast.local import manager_options
from benchmarks.broadcast.outcome import BenchmarkError, Plan
from benchmarks.broadcast.processes import Layout, Site, a_site
from benchmarks.environment.packing import remove
from vine import config

_DONE_S = 600.0
_TELL_TIME = "import time; print(time.time())"


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many workers on so many hosts, each of which has a link and a disk of its own."""

    workers: int
    hosts: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Seconds from the submission of one task a worker until the last one had come so far; medians."""

    first_line_s: float
    first_import_s: float
    after_transfer_s: float  # first line, where the archive is brought whole before it is unpacked
    tar_s: float  # in the same rounds


def ready(
    archive: Path,
    folder: Path,
    fleet: Fleet,
    link_bytes_per_s: float,
    rounds: int,
    modules: str,
    tar: Callable[[], float],
) -> Ready:
    """Each start is on new workers with empty caches, on hosts with links of that rate; `tar` is timed in between."""
    with namespaces.hosts(fleet.hosts + 1, link_bytes_per_s) as (manager, *others):
        options = manager_options(Plan("forest", config.source_transfers_max), "on")
        hosts = [replace(where, host=f"{number}") for number, where in enumerate(others)]
        layout = Layout(manager, tuple(hosts[number % fleet.hosts] for number in range(fleet.workers)), options)

        def started(kind: str) -> float:
            with tempfile.TemporaryDirectory(dir=folder, prefix="site-") as site_folder:
                with a_site(Path(site_folder), layout) as site:
                    seconds = _measured(site, archive, kind, modules)
                remove(Path(site_folder))
                Path(site_folder).mkdir()
            return seconds

        tar()  # The first to write in memory that a virtual machine has not been given yet waits for it.
        found: dict[str, list[float]] = {kind: [] for kind in ("line", "import", "after", "tar")}
        for number in range(rounds):  # Back and forth: none always comes first, or behind the same.
            for kind in list(found)[:: -1 if number % 2 else 1]:
                found[kind].append(tar() if kind == "tar" else started(kind))
    line, imported, after, tars = map(statistics.median, found.values())
    return Ready(line, imported, after, tars)


def _measured(site: Site, archive: Path, kind: str, modules: str) -> float:
    """The archive has been read and hashed when the clock starts, as a file that was declared before."""
    declared = site.client.declare_file(archive)
    declared.path(_DONE_S)
    environment = site.client.declare_environment(declared)
    program = f"import {modules}; {_TELL_TIME}" if kind == "import" else _TELL_TIME
    start_s = time.time()
    if kind == "after":
        site.client.broadcast(declared).result(_DONE_S)
    tasks = []
    for name in site.names:
        task = vine.Task(f"python -c '{program}'")
        task.set_environment(environment)
        task.add_feature(name)
        site.client.submit(task)
        tasks.append(task)
    for _ in tasks:
        ended = site.client.wait(_DONE_S)
        if ended is None or not ended.successful():
            raise BenchmarkError(f"a task did not run: {ended and (ended.error or ended.std_error)}")
    return max(float(task.std_output) for task in tasks) - start_s
