"""Everything breaks once in the middle of a graph of 10,000 calls: nothing is lost, and it is told how soon it goes on.

`make chaos` prints the table; nothing here depends on how long anything takes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.chaos.graph import TASKS
from tests.chaos.site import Standing, a_run
from tests.live.helpers import MARK, SOURCES, Site, family, variables
from tests.live.test_restart import lead_through, port_of, start_again
from tests.waiting import until
from tests.wire.live import Relay, relay_to

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]


@dataclass
class Row:
    """What became of a run, in seconds since the fault; None where it was not to be seen."""

    fault: str
    noticed_s: float | None
    recovered_s: float | None
    makespan_s: float | None
    of_pace: float | None = None  # the makespan over what the first half has let expect
    attempts_more: int | str = ""  # than there are tasks
    memory_mb: int | str = ""  # of the manager at the end

    def __str__(self) -> str:
        times = (self.noticed_s, self.recovered_s, self.makespan_s)
        cells = ["" if seconds is None else f"{seconds:.1f} s" for seconds in times]
        pace = "" if self.of_pace is None else f"{self.of_pace:.2f}"
        return f"| {' | '.join([self.fault, *cells, pace, str(self.attempts_more), str(self.memory_mb)])} |"


_rows: list[Row] = []


@pytest.fixture(scope="module", autouse=True)
def _table() -> Iterator[None]:
    os.environ["PYTHONPATH"] = SOURCES
    yield
    heads = "fault | noticed | recovered | makespan | of its pace before | attempts more than tasks | manager's MB"
    print(f"\n\n{TASKS:,} calls\n| {heads} |", *_rows, sep="\n")


def tell(
    fault: str, run: Standing, took_s: float, at_s: float, noticed_s: float | None, recovered_s: float | None
) -> None:
    """Keep a row; all but `took_s` are wall clock."""
    until(lambda: run.asks("SELECT count(*) FROM tasks WHERE outcome = 'success'") >= run.graph.tasks, "all is written")
    attempts_more = run.asks("SELECT count(*) FROM attempts") - run.graph.tasks
    since = [None if moment is None else moment - at_s for moment in (noticed_s, recovered_s)]
    memory_mb = psutil.Process(run.site.manager.pid).memory_info().rss // 1_000_000
    _rows.append(Row(fault, *since, took_s, run.of_pace(took_s), attempts_more, memory_mb))


LOST = (
    "(outcome IN ('worker-lost', 'killed', 'disk-full', 'start-failed') OR message LIKE 'taken back from %') "
    "AND ended_s >= ?"
)
GIVEN_UP = "SELECT count(*) FROM attempts WHERE outcome = 'worker-lost'"


def noticed(run: Standing, at_s: float) -> float | None:
    """When the first attempt was known to be lost, or was given to another worker."""
    found: float | None = run.asks(f"SELECT min(ended_s) FROM attempts WHERE {LOST}", at_s)
    return found


def recovered(run: Standing, at_s: float) -> float | None:
    """When all that was lost had been done again."""
    lost = f"SELECT task_id FROM attempts WHERE {LOST}"
    found: float | None = run.asks(f"SELECT max(ended_s) FROM tasks WHERE task_id IN ({lost})", at_s)
    return found


def test_nothing_breaks(tmp_path: Path) -> None:
    with a_run(tmp_path) as run:
        run.until_half_done()
        took_s = run.checked()
        tell("none", run, took_s, 0.0, None, None)


def test_a_worker_is_stopped_and_goes_on_when_it_was_done_without_or_given_up(tmp_path: Path) -> None:
    with a_run(tmp_path) as run:
        run.until_half_done()
        at_s = time.time()
        run.site.workers["w1"].send(signal.SIGSTOP)
        until(lambda: run.graph.root.done() or run.asks(GIVEN_UP), "the work is done, or it was given up", 120)
        run.site.workers["w1"].send(signal.SIGCONT)
        took_s = run.checked()
        tell("a worker is stopped (SIGSTOP)", run, took_s, at_s, noticed(run, at_s), recovered(run, at_s))


def interpreters(run: Standing) -> Iterator[psutil.Process]:
    for worker in run.site.workers.values():
        for process in psutil.Process(worker.pid).children(recursive=True):
            if "vine_function_host" in " ".join(process.cmdline()):
                yield process


def processes(run: Standing, whose: str) -> list[psutil.Process]:
    """Those that are to break."""
    worker = psutil.Process(run.site.workers["w1"].pid)
    if whose == "a worker":
        return [worker]
    if whose == "a worker's spawner":
        return [child for child in worker.children() if any("spawner" in part for part in child.cmdline())]
    return [psutil.Process(run.site.manager.pid)] if whose == "the manager" else list(interpreters(run))


@pytest.mark.parametrize("victim", ["a worker", "a worker's spawner", "all interpreters of functions"])
def test_who_is_killed_is_done_without(tmp_path: Path, victim: str) -> None:
    with a_run(tmp_path) as run:
        run.until_half_done()
        killed = processes(run, victim)
        at_s = time.time()
        for process in killed:
            process.kill()
        took_s = run.checked()
        tell(f"{victim} killed (kill -9)", run, took_s, at_s, noticed(run, at_s), recovered(run, at_s))


def test_the_manager_is_killed_and_started_again(tmp_path: Path) -> None:
    with a_run(tmp_path) as run:
        run.until_half_done()
        at_s = time.time()
        run.site.manager.kill()
        start_again(run.site)
        took_s = run.checked()
        first_s = run.asks("SELECT min(assigned_s) FROM attempts WHERE epoch = 2")
        ready_s = run.asks("SELECT value FROM facts WHERE name = 'started_s'")
        tell("the manager is killed, and started again at once", run, took_s, at_s, ready_s, first_s)


STOPPED_S = 5.0


@pytest.mark.parametrize("victim", ["the manager", "a worker's spawner", "all interpreters of functions"])
def test_who_is_stopped_for_a_while_goes_on(tmp_path: Path, victim: str) -> None:
    with a_run(tmp_path) as run:
        run.until_half_done()
        stopped = processes(run, victim)
        at_s = time.time()
        for process in stopped:
            process.suspend()
        until(lambda: time.time() > at_s + STOPPED_S, "it stands still")
        for process in stopped:
            process.resume()
        took_s = run.checked()
        next_s = run.asks("SELECT min(ended_s) FROM attempts WHERE ended_s > ?", at_s + STOPPED_S)
        tell(f"{victim} stopped for {STOPPED_S:g} s (SIGSTOP)", run, took_s, at_s, None, next_s)


def test_every_connection_to_the_manager_is_cut(tmp_path: Path) -> None:
    with ExitStack() as stack:
        relays: list[Relay] = []

        def between(site: Site) -> None:
            relays.append(stack.enter_context(relay_to(port_of(site))))
            lead_through(site, relays[0])

        with a_run(tmp_path, prepare=between) as run:
            run.until_half_done()
            at_s = time.time()
            relays[0].cut_after(2000)
            took_s = run.checked()
            next_s = run.asks("SELECT min(ended_s) FROM attempts WHERE ended_s > ?", at_s + 0.05)
            tell("all connections are cut, with what was on its way", run, took_s, at_s, None, next_s)


def test_a_workers_disk_has_no_room_for_the_shared_input(tmp_path: Path) -> None:
    disk = tmp_path / "workspace-w1"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], check=True)
    try:
        with a_run(tmp_path) as run:
            took_s = run.checked()
            full_s = run.asks("SELECT min(ended_s) FROM transfers WHERE fault = 'disk-full'")
            assert full_s is not None, "there was room"
            tell("a worker's disk has no room for the input", run, took_s, run.began_s, full_s, None)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


PROGRAM = """
import sys
from pathlib import Path
import vine
from tests.chaos.graph import Graph
fleet = {"workers": 2, "cores": 1, "workspace": sys.argv[1]}
with vine.Manager(run_info_path=sys.argv[1]) as manager, vine.Executor(manager, **fleet):
    graph = Graph(manager, Path(sys.argv[1]))
    print(sum(leaf.result() >= 0 for leaf in graph.leaves[: len(graph.leaves) // 4]), flush=True)
    graph.check()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("victim", ["client", "factory"])
def test_a_program_whose_client_or_factory_breaks_ends_and_leaves_nothing(
    tmp_path: Path, victim: str, how: signal.Signals
) -> None:
    # given a program that has started its own manager, factory and workers
    mark = f"chaos-{victim}-{how.name}-{os.getpid()}"
    variables_of_it = variables(**{MARK: mark, "PYTHONPATH": SOURCES})
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables_of_it)
    assert client.stdout is not None and client.stdout.readline(), "a quarter of the work is done"
    (factory,) = [int(line.split()[0]) for line in family(mark) if "vine_factory.main" in line]
    process = psutil.Process(client.pid if victim == "client" else factory)
    at_s = time.time()
    process.send_signal(how)
    if how is signal.SIGSTOP:
        until(lambda: time.time() > at_s + STOPPED_S, "it stands still")
        process.resume()
    # then the work is done all the same, unless nobody waits for it any more, and nothing is left
    killed = victim == "client" and how is signal.SIGKILL
    assert client.wait(240) == (-how if killed else 0)
    until(lambda: not family(mark), "all that it had started ends", 60)
    client.stdout.close()
    gone_s = time.time() - at_s if killed else None
    words = "killed (kill -9)" if how is signal.SIGKILL else f"stopped for {STOPPED_S:g} s (SIGSTOP)"
    _rows.append(Row(f"the {victim} {words}", None, gone_s, None))
