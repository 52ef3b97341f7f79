"""Do whole runs of Parsl begin and end as they should: several executors, blocks, monitoring, lost managers?"""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path
from typing import Any

import parsl
import psutil
import pytest
from parsl import python_app
from parsl.config import Config
from parsl.dataflow.memoization import BasicMemoizer
from parsl.executors.errors import BadStateException, ExecutorError
from parsl.monitoring import MonitoringHub
from parsl.providers import LocalProvider

from tests.live import helpers
from tests.waiting import GIVE_UP_S, until
from vine import config as limits
from vine.errors import UsageError
from vine.parsl import FactoryConfig, ManagerConfig, VineExecutor

WORKER = " ".join(helpers.command("vine-worker"))


def config(folder: Path, *executors: VineExecutor, **more: Any) -> Config:
    options = {"strategy": "none", "usage_tracking": 0, "run_dir": str(folder / "runinfo"), **more}
    return Config(executors=list(executors), **options)


@python_app
def never_ends() -> None:
    import signal

    signal.pause()


@python_app(cache=True)
def ran_in(number: int) -> int:
    import os

    return os.getppid()


@python_app
def block_of_worker() -> str | None:
    import os

    return os.environ.get("PARSL_WORKER_BLOCK_ID")


def in_blocks(command: str = WORKER, cores: int = 1) -> VineExecutor:
    return VineExecutor(
        worker_launch_method="provider",
        provider=LocalProvider(init_blocks=1, max_blocks=1),
        factory_config=FactoryConfig(worker_executable=command, cores=cores),
    )


def children() -> set[psutil.Process]:
    return set(helpers.children_of(psutil.Process()))


def test_several_executors_run_side_by_side_and_a_later_run_knows_their_results(tmp_path: Path) -> None:
    def run(files: list[str]) -> list[int]:
        executors = [VineExecutor(label) for label in ("a", "b")]
        memoizer = BasicMemoizer(checkpoint_mode="task_exit", checkpoint_files=files)
        with parsl.load(config(tmp_path, *executors, memoizer=memoizer)) as kernel:
            apps = [
                python_app(ran_in.func.__wrapped__, data_flow_kernel=kernel, executors=[label], cache=True)
                for label in ("a", "b")
            ]
            return [app(number).result(GIVE_UP_S) for number, app in enumerate(apps)]

    first = run([])
    assert len(set(first)) == 2, "each executor has workers of its own"
    assert run([str(tmp_path / "runinfo" / "000" / "checkpoint")]) == first


def test_apps_that_have_not_ended_fail_at_the_end_and_nothing_stays_behind(tmp_path: Path) -> None:
    before = children()
    kernel = parsl.load(config(tmp_path, executor := VineExecutor(), retries=2))
    running = never_ends()
    until(lambda: executor.manager.stats.tasks.get("running"), "it runs")
    kernel.cleanup()
    parsl.clear()
    assert isinstance(running.exception(GIVE_UP_S), ExecutorError)
    assert children() <= before


def test_a_configuration_that_cannot_be_is_refused_and_nothing_stays_behind(tmp_path: Path) -> None:
    before = children()
    executor = VineExecutor(manager_config=ManagerConfig(tune_parameters={"no-such": 1}))
    with pytest.raises(UsageError, match="no-such"):
        parsl.load(config(tmp_path, executor))
    parsl.clear()
    assert children() <= before


def kill_the_manager() -> None:
    (manager,) = helpers.children_of(psutil.Process(), "vine.manager.main")
    manager.send_signal(signal.SIGKILL)


def test_a_killed_manager_comes_back_and_apps_go_on(tmp_path: Path) -> None:
    with parsl.load(config(tmp_path, VineExecutor())):
        assert ran_in(1).result(GIVE_UP_S)
        kill_the_manager()
        assert ran_in(2).result(GIVE_UP_S)


def test_a_manager_that_does_not_come_back_ends_all_apps_with_parsls_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "manager_restarts_max", 0)
    with parsl.load(config(tmp_path, VineExecutor())):
        running = never_ends()
        kill_the_manager()
        assert isinstance(running.exception(GIVE_UP_S), BadStateException)
        assert isinstance(ran_in(1).exception(GIVE_UP_S), BadStateException)


def test_blocks_run_apps_and_monitoring_hears_of_both(tmp_path: Path) -> None:
    hub = MonitoringHub(resource_monitoring_interval=1, logging_endpoint=f"sqlite:///{tmp_path}/monitoring.db")
    with parsl.load(config(tmp_path, executor := in_blocks(cores=3), strategy_period=0.1, monitoring=hub)):
        assert block_of_worker().result(GIVE_UP_S) == "0"
        assert (executor.workers_per_node, executor.outstanding()) == (3, 0)
    with sqlite3.connect(tmp_path / "monitoring.db") as told:

        def count(table: str) -> int:
            found: int = told.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            return found

        assert [count(table) for table in ("workflow", "task", "try")] == [1, 1, 1]
        assert count("try WHERE task_try_time_running IS NULL") == 0, "the worker said when the app began"
        assert count("resource") >= 1
        assert count("block") >= 2
    told.close()


def test_blocks_whose_workers_never_join_are_told_to_all_apps(tmp_path: Path) -> None:
    executor = in_blocks("true")  # It ends well, and joins nothing.
    with parsl.load(config(tmp_path, executor, strategy_period=0.1)):
        assert isinstance(never_ends().exception(GIVE_UP_S), BadStateException)
