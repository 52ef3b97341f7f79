"""Do programs written for Parsl run, with everything that Parsl's users rely on?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import parsl
import pytest
from parsl import File, bash_app, join_app, python_app
from parsl.app.errors import AppException, AppTimeout
from parsl.config import Config
from parsl.executors.high_throughput.errors import WorkerLost
from parsl.serialize.errors import DeserializationError, SerializationError

from tests.live import helpers
from tests.waiting import GIVE_UP_S
from vine.errors import LimitExceeded, TimeLimitExceeded
from vine.parsl import ManagerConfig, VineExecutor


def config(folder: Path, *executors: VineExecutor, **more: Any) -> Config:
    return Config(executors=list(executors), run_dir=str(folder / "runinfo"), usage_tracking=0, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("parsl")
    before = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def executor(folder: Path) -> Iterator[VineExecutor]:
    """Of a configuration whose files are all staged, as for workers elsewhere; its only worker is started by hand."""
    of_all = ManagerConfig(
        shared_fs=False, env_vars={"FROM_CONFIG": "yes"}, wait_for_workers=1, max_retries=1, enforce_resources=True
    )
    executor = VineExecutor("vine", worker_launch_method="manual", manager_config=of_all)
    with parsl.load(config(folder, executor, strategy="none")):
        options = ["--connection", "runinfo/000/vine/most-recent", "--cores", "2", "--workspace", "workspace"]
        with open("worker.log", "wb") as log:
            worker = subprocess.Popen([*helpers.command("vine-worker"), *options], stdout=log, stderr=log)
        try:
            yield executor
        finally:
            worker.terminate()
            worker.wait()


def answer(future: Any) -> Any:
    return future.result(GIVE_UP_S)


def error(future: Any) -> BaseException:
    found: BaseException = future.exception(GIVE_UP_S)
    return found


@python_app
def double(x: int) -> int:
    return 2 * x


@python_app
def ends_its_process(code: int) -> None:
    os._exit(code)


@python_app
def surroundings(**asked: Any) -> tuple[int, str | None]:
    return os.getpid(), os.environ.get("FROM_CONFIG")


@bash_app
def concatenated(inputs: Any = (), outputs: Any = (), stdout: Any = None, stderr: Any = None) -> str:
    return f"cat {inputs[0]} {inputs[1]} > {outputs[0]} && echo done && echo complaints >&2"


@python_app
def dies(stdout: Any = None) -> None:
    with open(stdout, "w") as file:
        file.write("last words")
    os._exit(1)


@bash_app
def failing(outputs: Any = (), stderr: Any = None) -> str:
    return f"echo half > {outputs[0]}; echo why >&2; exit 3"


def test_apps_depend_on_apps_and_join_apps_on_those_that_they_make(executor: VineExecutor) -> None:
    @join_app
    def sum_of_doubles(count: int) -> Any:
        return total(*[double(number) for number in range(count)])

    @python_app
    def total(*numbers: int) -> int:
        return sum(numbers)

    assert answer(total(double(double(1)), 3)) == 7
    assert answer(sum_of_doubles(4)) == 12


def test_files_go_to_apps_and_come_back_and_from_one_to_the_next(executor: VineExecutor, folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "a.txt").write_text("a\n")
    (folder / "b.txt").write_text("b\n")
    inputs = [File("data/a.txt"), File(str(folder / "b.txt"))]
    first = concatenated(inputs=inputs, outputs=[File("made/ab.txt")], stdout="out.txt", stderr=("err.txt", "w"))
    second = concatenated(inputs=[first.outputs[0], File("b.txt")], outputs=[File(str(folder / "abb.txt"))])
    assert Path(answer(second.outputs[0])).read_text() == "a\nb\nb\n"
    assert (folder / "made" / "ab.txt").read_text() == "a\nb\n"
    assert ((folder / "out.txt").read_text(), (folder / "err.txt").read_text().splitlines()[-1]) == (
        "done\n",
        "complaints",
    )


def test_a_file_that_was_written_anew_is_read_anew(executor: VineExecutor, folder: Path) -> None:
    @python_app
    def content(file: File) -> str:
        with open(file) as opened:
            return opened.read()

    for text in ("one", "two!"):
        (folder / "changing.txt").write_text(text)
        assert answer(content(File("changing.txt"))) == text


def test_a_failing_app_leaves_what_it_has_written(executor: VineExecutor, folder: Path) -> None:
    failed = failing(outputs=[File("half.txt")], stderr="why.txt")
    assert "exit code 3" in str(error(failed))
    assert (folder / "half.txt").read_text() == "half\n"
    assert (folder / "why.txt").read_text().splitlines()[-1] == "why"
    assert isinstance(error(dies(stdout="words.txt")), WorkerLost)
    assert (folder / "words.txt").read_text() == "last words"


def test_each_app_has_the_mode_that_it_asks_for(executor: VineExecutor) -> None:
    warm = {answer(surroundings(parsl_resource_specification={"exec_mode": "serverless"}))[0] for _ in range(4)}
    fresh = [answer(surroundings(parsl_resource_specification={"exec_mode": "regular"})) for _ in range(2)]
    assert len(warm) <= 2, "there are two slots"
    assert len({process for process, _ in fresh} - warm) == 2
    assert {variable for _, variable in fresh} == {"yes"}


def test_an_app_whose_process_dies_is_tried_again_as_often_as_the_configuration_says(
    executor: VineExecutor, folder: Path
) -> None:
    @python_app
    def dies_at_first(tries: str, deaths: int) -> int:
        import os

        with open(tries, "a") as file:
            file.write("x")
        if os.path.getsize(tries) <= deaths:
            os._exit(1)
        return os.path.getsize(tries)

    assert answer(dies_at_first(str(folder / "once"), 1)) == 2
    assert isinstance(error(dies_at_first(str(folder / "always"), 9)), WorkerLost)
    assert (folder / "always").read_text() == "xx"


def test_an_app_that_takes_more_than_it_asked_for_is_stopped(executor: VineExecutor) -> None:
    @python_app
    def takes(count: int, parsl_resource_specification: Any = None) -> None:
        import signal

        held = b"x" * count
        signal.pause()
        del held

    over_time = takes(1, parsl_resource_specification={"running_time_max": 0.2})
    over_memory = takes(600_000_000, parsl_resource_specification={"memory": 300})
    assert isinstance(error(over_time), AppTimeout) and isinstance(error(over_time), TimeLimitExceeded)
    assert isinstance(error(over_memory), AppException) and isinstance(error(over_memory), LimitExceeded)


def test_errors_are_those_that_parsls_users_catch(executor: VineExecutor) -> None:
    @python_app
    def takes(value: Any) -> None:
        pass

    @python_app
    def unreadable() -> Any:
        class Here:
            def __reduce__(self) -> Any:
                return (__import__, ("nobody_has_this_module",))

        return Here()

    assert isinstance(error(ends_its_process(7)), WorkerLost)
    assert isinstance(error(takes(open(os.devnull))), SerializationError)  # noqa: SIM115 - it cannot travel
    assert isinstance(error(unreadable()), DeserializationError)
