"""Where things break: a manager and workers as users start them, with the limits that users have, and what is left."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import vine
from tests.chaos.graph import Graph
from tests.live.helpers import Site, family
from tests.waiting import until
from vine.manager.journal import file_name

WORKERS = 4
FILES_SLACK = 30  # Connections and logs that come and go.


@dataclass
class Standing:
    """A run in whose middle something breaks."""

    site: Site
    manager: vine.Manager
    graph: Graph
    began_s: float
    files: dict[str, int]  # that each process had open before there was work
    half_s: float = 0.0  # after which half of the leaves were done

    def asks(self, question: str, *values: object) -> Any:
        """One value of the journal."""
        with closing(sqlite3.connect(self.site.run_dir / file_name)) as journal:
            return journal.execute(question, values).fetchone()[0]

    def until_half_done(self) -> None:
        half = len(self.graph.leaves) // 2
        until(lambda: self.graph.done() >= half, "half of the leaves are done", 240)
        self.half_s = time.time() - self.began_s

    def of_pace(self, took_s: float) -> float | None:
        """The makespan as a share of what it would have been at the pace of its first half: machines are noisy."""
        return took_s / (self.half_s * self.graph.tasks / (len(self.graph.leaves) // 2)) if self.half_s else None

    def checked(self) -> float:
        """All futures resolve, all results are right, nothing has grown; returns the makespan."""
        self.graph.check()
        took_s = time.time() - self.began_s
        most = {name: files + FILES_SLACK for name, files in self.files.items()}
        until(lambda: all(files <= most[name] for name, files in open_files(self.site).items()), "files are closed")
        return took_s


def open_files(site: Site) -> dict[str, int]:
    """How many the manager and each worker that lives have open."""
    pids = {"manager": site.manager.pid, **{name: worker.pid for name, worker in site.workers.items()}}
    found = {}
    for name, pid in pids.items():
        with suppress(psutil.Error):  # It was killed.
            found[name] = psutil.Process(pid).num_fds()
    return found


@contextmanager
def a_run(folder: Path, *options: object, prepare: Callable[[Site], None] = lambda site: None) -> Iterator[Standing]:
    """A run whose graph was just submitted; when it is over, no process of it is left."""
    site = Site(folder, limits=())
    marks = [site.manager.mark]
    try:
        prepare(site)
        for number in range(WORKERS):
            if f"w{number}" not in site.workers:
                site.worker(f"w{number}", *options)
        marks += [worker.mark for worker in site.workers.values()]
        with site.client() as manager:
            manager.wait_for_workers(WORKERS, 60)
            files = open_files(site)
            began_s = time.time()
            yield Standing(site, manager, Graph(manager, folder), began_s, files)
    finally:
        site.close()
    orphans = [process for mark in [*marks, site.manager.mark] for process in family(mark)]
    assert not orphans, f"these are left: {orphans}"
