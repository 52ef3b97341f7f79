"""Does the sweep by Parsl's apps ask for what the paper's tasks ask for, and travel as code?"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import parsl
import pytest

from benchmarks.mnist_sweep import on_parsl
from benchmarks.mnist_sweep.network import by_value
from benchmarks.mnist_sweep.options import parse
from benchmarks.mnist_sweep.packing import Package, Packages
from benchmarks.mnist_sweep.run import row_of, submit
from vine.client import serialise
from vine.names import TaskId
from vine.parsl import VineExecutor
from vine.wire.parts import Outcome, TaskResult

TARBALL = Path("/packed/environment.tar.zst")
PACKAGES = Packages(*[Package(Path("/data/mnist"), TARBALL, lambda folder, out: out)] * 2)


class Kernel(parsl.DataFlowKernel):  # type: ignore[misc]  # Parsl's types are not followed
    """Of Parsl, as far as apps need it: it runs each at once, and notes what that asked for."""

    def __init__(self) -> None:
        self.specifications: list[Any] = []

    def submit(self, func: Any, app_args: Any, app_kwargs: Any, **more: Any) -> Future[Any]:
        self.specifications.append(app_kwargs["parsl_resource_specification"])
        future: Future[Any] = Future()
        future.set_result(func(*app_args, **app_kwargs))
        return future


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def calls(kernel: Kernel) -> on_parsl.Calls:
    return on_parsl.Calls(kernel, VineExecutor())


def asked(*args: Any) -> tuple[Any, ...]:
    return args


def test_each_combination_is_an_app_that_asks_for_the_papers_figures(
    calls: on_parsl.Calls, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.mnist_sweep.run.network.train", asked)
    options = parse(["--tasks", "2", "--task-cores", "2", "--worker-cores", "16", "--front-end", "parsl"])
    futures = submit(calls, options, calls.provision(PACKAGES, Path("/workspace")))
    assert [future.result()[0] for future in futures] == list(futures.values())
    specification = {"cores": 2, "memory": 2_000, "disk": 2_000, "environment": TARBALL}
    assert kernel.specifications == [specification] * 2


def test_the_environment_is_a_tarball_and_the_dataset_a_folder_of_parsls(calls: on_parsl.Calls) -> None:
    provision = calls.provision(PACKAGES, Path("/workspace"))
    assert isinstance(provision.digits, parsl.File)
    assert provision.digits.filepath == "/data/mnist"
    assert provision.fault("/usr", "/tmp") is not None


def test_an_app_travels_as_code() -> None:
    specified = on_parsl._specified(by_value(asked))
    sent = serialise.dump_function(specified, "asked")
    assert __name__.encode() not in sent
    assert serialise.load(sent)(1, parsl_resource_specification={}) == (1,)


def test_the_environment_has_parsl_as_it_is_here() -> None:
    assert on_parsl.requirements()[-1] == f"parsl=={parsl.__version__}"


def test_a_row_has_what_the_runtime_says_of_the_apps_last_try() -> None:
    call: Future[Any] = Future()
    call.task = TaskResult(TaskId(1), Outcome.WORKER_LOST, attempts=2)  # type: ignore[attr-defined]
    future: Future[Any] = Future()
    future.task_record = {"exec_fu": call}  # type: ignore[attr-defined]
    future.set_exception(RuntimeError("lost"))
    row = row_of(1, future, lambda prefix, folder: None)
    assert (row.outcome, row.attempts) == ("worker-lost", 2)


@pytest.mark.parametrize(
    "wrong", [["--distribution", "shared-fs"], ["--mode", "emulate"], ["--worker-python", "/usr/bin/python3"]]
)
def test_what_the_front_end_cannot_do_is_told(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--front-end", "parsl", *wrong])
    assert "--front-end parsl" in capsys.readouterr().err
