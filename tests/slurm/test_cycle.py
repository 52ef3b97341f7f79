"""Does a fleet on a real Slurm follow its work, whatever is killed, and leave no job behind?"""

from __future__ import annotations

import shlex
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vine
from tests.live.helpers import Program, Site, at_the_end, command
from tests.slurm.cluster import SlurmCluster
from tests.waiting import GIVE_UP_S, until

MOST = 3


class SlurmRun:
    """A manager, and factories of it that submit to Slurm."""

    def __init__(self, site: Site, slurm: SlurmCluster) -> None:
        self.site, self.slurm = site, slurm
        self._factories: list[Program] = []

    def factory(self, *options: object, name: str = "slurm") -> Program:
        sizes = ("--cores", 1, "--memory", 500, "--disk", 500, "--workspace", self.site.folder / "$SLURM_JOB_ID")
        arguments = (
            "--connection", self.site.connection, "--batch-type", "slurm", "--name", name, "--max-workers", MOST,
            "--cycle", 1, "--idle-timeout", 1, *sizes, *options,
        )  # fmt: skip
        log = self.site.folder / f"{name}-{len(self._factories)}.log"
        factory = Program(command("vine-factory", *arguments), log)
        self._factories.append(factory)
        assert factory.line() == f"ready {name}", factory.complaints()
        return factory

    @property
    def of_factory(self) -> dict[str, Any]:
        """What the manager knows of the only one that lives, once it tells."""
        found: list[dict[str, Any]] = until(lambda: self.site.status()["factories"], "the factory is told")
        return found[-1]

    def close(self) -> None:
        for factory in self._factories:
            factory.close()


@pytest.fixture
def run(tmp_path: Path, slurm: SlurmCluster) -> Iterator[SlurmRun]:
    site = Site(tmp_path)
    run = SlurmRun(site, slurm)
    yield run
    run.close()
    site.close()


def nap(number: int) -> int:
    threading.Event().wait(0.05)
    return number


def nap_until(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.01)  # A look at a file tells nobody; the test says when.
    return path


def test_a_fleet_grows_with_a_sweep_to_its_limit_shrinks_after_it_and_is_gone_at_the_end(
    run: SlurmRun, tmp_path: Path
) -> None:
    # Given no work, and so no worker
    factory = run.factory()
    assert run.slurm.jobs() == {}
    with run.site.client() as manager, vine.Executor(manager) as executor, at_the_end(go := tmp_path / "go"):
        # When 200 tasks come
        futures = [executor.submit(nap_until, str(go)) for _ in range(200)]
        # Then the fleet grows to its limit and no further, all run, and it shrinks to its minimum
        until(lambda: len(run.slurm.running()) == MOST, "as many workers run as there may be")
        assert len(run.slurm.jobs()) == MOST
        go.touch()
        assert [future.result() for future in futures] == [str(go)] * 200
        until(lambda: not run.slurm.jobs(), "no job is left")
        # And it grows again, and ends with its factory
        executor.submit(nap, 1).result()
        factory.send(signal.SIGTERM)
        assert factory.wait() == 0
    assert run.slurm.jobs() == {}


def test_a_worker_whose_job_is_cancelled_loses_nothing_and_is_replaced(run: SlurmRun, tmp_path: Path) -> None:
    run.factory("--min-workers", 2)
    with run.site.client() as manager, vine.Executor(manager) as executor, at_the_end(tmp_path / "go"):
        futures = [executor.submit(nap_until, str(tmp_path / "go")) for _ in range(MOST)]
        until(lambda: manager.stats.tasks.get("running") == MOST, "all run")
        victim = run.slurm.running()[0]
        run.slurm.run("scancel", victim)
        until(lambda: victim not in run.slurm.jobs(), "it is gone")
        until(lambda: len(run.slurm.running()) == MOST, "another one came")
        (tmp_path / "go").touch()
        assert [future.result() for future in futures] == [str(tmp_path / "go")] * MOST


def test_a_factory_that_was_killed_takes_over_its_jobs_when_it_is_started_again(run: SlurmRun, tmp_path: Path) -> None:
    first = run.factory()
    with run.site.client() as manager, vine.Executor(manager) as executor, at_the_end(tmp_path / "go"):
        futures = [executor.submit(nap_until, str(tmp_path / "go")) for _ in range(MOST)]
        until(lambda: manager.stats.tasks.get("running") == MOST, "the fleet is there, and all run")
        jobs = set(run.slurm.jobs())
        first.kill()
        assert set(run.slurm.jobs()) == jobs
        second = run.factory()
        until(lambda: run.of_factory["running"] == MOST, "it knows its workers")
        assert set(run.slurm.jobs()) == jobs
        (tmp_path / "go").touch()
        assert len({future.result() for future in futures}) == 1
        until(lambda: not run.slurm.jobs(), "they are let go, as its own")
    assert second.process.poll() is None


def test_the_end_of_the_run_is_the_end_of_its_jobs(run: SlurmRun) -> None:
    factory = run.factory("--min-workers", 1)
    until(lambda: run.of_factory["running"] == 1, "its worker is there")
    run.site.end()
    assert factory.wait() == 0
    assert run.slurm.jobs() == {}


def test_what_slurm_refuses_is_told_to_who_asks_the_manager(run: SlurmRun) -> None:
    run.factory("--min-workers", 1, "--batch-option=--partition=fnord")
    message = until(lambda: str(run.of_factory["message"]), "the manager knows")
    assert "sbatch failed: " in message and "Invalid partition name" in message
    assert run.slurm.jobs() == {}


def test_a_job_that_somebody_holds_is_given_up_and_told_whatever_the_users_shell_makes_of_squeue(
    run: SlurmRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that runs, one for which the node has no room, and a user who likes other columns
    with monkeypatch.context() as shell:
        shell.setenv("SQUEUE_FORMAT", "%i")
        shell.setenv("SQUEUE_STATES", "RUNNING")
        run.factory("--min-workers", 2, "--cores", 8)
    until(lambda: sorted(run.slurm.jobs().values()) == ["PENDING", "RUNNING"], "one runs, one waits")
    [waiting] = [job for job, state in run.slurm.jobs().items() if state == "PENDING"]
    # When that is held
    run.slurm.run("scontrol", "hold", waiting)
    # Then it goes, and the manager tells why
    until(lambda: "held by the batch system" in run.of_factory["message"], "the manager knows")
    until(lambda: waiting not in run.slurm.jobs(), "it is gone")


def test_jobs_that_wait_in_the_queue_are_withdrawn_when_nobody_needs_them(run: SlurmRun, tmp_path: Path) -> None:
    # Given workers for which the node has no room
    options = {"cores": 8, "memory": 500, "max_workers": 2, "cycle": 1, "idle_timeout": 1, "workspace": tmp_path / "ws"}
    with (
        run.site.client() as manager,
        vine.Factory("slurm", manager=manager, **options),
        vine.Executor(manager).options(cores=8) as executor,
    ):
        futures = [executor.submit(nap, number) for number in range(2)]
        until(lambda: sorted(run.slurm.jobs().values()) == ["PENDING", "RUNNING"], "one runs, one waits")
        assert [future.result() for future in futures] == [0, 1]
        until(lambda: not run.slurm.jobs(), "both are gone")


def test_a_worker_that_is_submitted_by_hand_has_what_its_job_has(run: SlurmRun) -> None:
    worker = shlex.join([*command("vine-worker", "--connection", run.site.connection), "--workspace"])
    job = ("--cpus-per-task=2", "--mem=600M", f"--output={run.site.folder}/by-hand.log")
    run.slurm.run("sbatch", *job, f"--wrap=exec {worker} {run.site.folder}/by-hand")
    with run.site.client() as manager:
        manager.wait_for_workers(1, GIVE_UP_S)
        assert manager.stats.cores == 2
    [found] = run.site.status()["workers"]
    assert (found["capacity"]["cores"], round(found["capacity"]["memory_mb"])) == (2, 629)
