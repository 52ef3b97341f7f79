"""Tasks run on the software that was declared for them, and see nothing of the worker's own."""

from __future__ import annotations

import io
import operator
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vine
from tests.environments.made import conda_prefix, virtualenv, virtualenv_with
from tests.live.helpers import a_site, done
from tests.waiting import GIVE_UP_S
from vine.environments.pack import pack_virtualenv
from vine.errors import PythonMismatch


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def by_value(name: str) -> Callable[[], Any]:
    """Functions that travel with their code: an environment does not have these tests."""

    def look() -> dict[str, Any]:
        import importlib.util
        import sys

        import mine  # type: ignore[import-not-found]

        leaks = [each for each in ("msgspec", "zmq", "vine", "vine_worker", "blake3") if importlib.util.find_spec(each)]
        return {"prefix": sys.prefix, "value": mine.VALUE, "leaks": leaks}

    def set_up() -> str | None:
        import os

        return os.environ.get("SET_UP")

    def touch(path: str) -> None:
        with open(path, "w"):
            pass

    return {"look": look, "set_up": set_up, "touch": touch}[name]


def in_env_command(environment: vine.File) -> vine.Task:
    task = vine.Task("python -c 'import mine, sys; print(mine.VALUE, sys.prefix)'; command -v vine-worker || echo none")
    task.set_environment(environment)
    return task


def test_two_environments_run_side_by_side_on_one_worker_and_nothing_of_its_own_leaks(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"], "--cores", 2) as site, site.client() as manager:
        # given two environments with a module each of the same name: one declared as it is, the other as a tarball
        one = manager.declare_environment(virtualenv(tmp_path / "one", mine="VALUE = 1\n"))
        packed = pack_virtualenv(virtualenv(tmp_path / "two", mine="VALUE = 2\n"), tmp_path / "two.tar.zst")
        two = manager.declare_environment(packed)
        # when commands, fresh interpreters and warm ones run in both at the same time
        commands = [in_env_command(environment) for environment in (one, two)]
        look = by_value("look")
        fresh = [vine.PythonTask(look), vine.PythonTask(look)]
        for task, environment in zip(fresh, (one, two), strict=True):
            task.set_environment(environment)
        with vine.Executor(manager, environment=one) as executor:
            calls = [executor.submit(look), executor.options(environment=two).submit(look)]
            done(manager, *commands, *fresh)
            looks = [*(task.output for task in fresh), *(call.result(GIVE_UP_S) for call in calls)]
        # then each has had its own module, from where the worker's store has it, and no module of the worker's
        assert [found["value"] for found in looks] == [1, 2, 1, 2]
        assert [found["leaks"] for found in looks] == [[]] * 4
        store = str(site.workers["w0"].workspace)
        assert all(found["prefix"].startswith(store) for found in looks)
        assert len({found["prefix"] for found in looks}) == 2
        # and no program of the worker's either
        outputs = [task.std_output.splitlines() for task in commands]
        assert [output[0].split()[0] for output in outputs] == ["1", "2"]
        assert [output[1] for output in outputs] == ["none", "none"]


def a_sweep() -> tuple[Callable[[], str], Callable[[float], float]]:
    """Functions that travel with their code: what a worker's own Python says of NumPy, and a training."""

    def numpy_here() -> str:
        import importlib.util

        return str(importlib.util.find_spec("numpy"))

    def train(regularisation: float) -> float:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
        from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

        images, digits = load_digits(return_X_y=True)
        model = LogisticRegression(C=regularisation, max_iter=50).fit(images[:900] / 16, digits[:900])
        return float(model.score(images[900:] / 16, digits[900:]))

    return numpy_here, train


def test_a_sweep_runs_on_scikit_learn_where_the_workers_python_has_not_even_numpy(tmp_path: Path) -> None:
    # given a worker whose Python has what vine needs and no more, and an environment with scikit-learn
    bare = virtualenv_with(tmp_path / "bare", "pyzmq", "msgpack", "msgspec", "dill", "blake3", "zstandard", "psutil")
    numpy_here, train = a_sweep()
    with a_site(tmp_path / "site") as site, site.client() as manager:
        site.worker("w0", "--cores", 2, python=bare / "bin" / "python")
        environment = manager.declare_environment(virtualenv_with(tmp_path / "learning", "scikit-learn"))
        # when trainings are swept over it
        with vine.Executor(manager) as plain, vine.Executor(manager, environment=environment) as executor:
            found = plain.submit(numpy_here).result(GIVE_UP_S)
            accuracies = list(executor.map(train, [0.001, 0.01, 0.1, 1.0]))
    # then they have all learnt, more where less is held back, and the worker's own Python never could have
    assert found == "None"
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] > 0.85


def interpreter_of(version: tuple[int, int]) -> bytes:
    """This one, which says that it is of another minor version."""
    pretend = f"import runpy, sys; sys.version_info = {(*version, 0, 'final', 0)}; sys.argv = sys.argv[1:]; "
    begin = "runpy.run_path(sys.argv[0], run_name='__main__')"
    return f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" -c "{pretend}{begin}" "$@"\n'.encode()


def test_code_of_another_python_is_refused_before_it_runs_on_one_that_only_workers_could_see(tmp_path: Path) -> None:
    here = sys.version_info[:2]
    there = (here[0], here[1] - 1)
    with a_site(tmp_path / "site", 1) as site, site.client() as manager:
        # given an environment with an interpreter of another minor version, in an archive that a task makes
        made = manager.declare_temp()
        making = vine.Task("mkdir bin && cp python bin/ && tar -cf made bin")
        making.add_input(manager.declare_buffer(interpreter_of(there)), "python")
        making.add_output(made, "made")
        done(manager, making)
        environment = manager.declare_environment(made)
        # when functions that travel with their code are to run on it
        touch, ran = by_value("touch"), tmp_path / "ran"
        fresh = vine.PythonTask(touch, str(ran))
        fresh.set_environment(environment)
        with vine.Executor(manager, environment=environment) as executor:
            call = executor.submit(touch, str(ran))
            done(manager, fresh)
            # then each is refused with both versions, and has not run
            for error in (fresh.error, call.exception(GIVE_UP_S)):
                assert isinstance(error, PythonMismatch)
                assert f"touch: its code is of Python {here[0]}.{here[1]}, and " in str(error)
                assert f"is Python {there[0]}.{there[1]}, which cannot load it" in str(error)
            assert not ran.exists()
            # and one that the other Python finds by its name does run
            assert executor.submit(operator.add, 1, 2).result(GIVE_UP_S) == 3


def convention(path: Path) -> Path:
    """A tarball as TaskVine's users have them: a program that sets up what is needed, and runs others as children."""
    script = b'#!/bin/sh\nexport SET_UP=yes\nexport PREFIX="$(dirname "$(dirname "$0")")"\n"$@"\nexit $?\n'
    with tarfile.open(path, "w:xz") as archive:
        info = tarfile.TarInfo("bin/run_in_env")
        info.mode, info.size = 0o755, len(script)
        archive.addfile(info, io.BytesIO(script))
        link = tarfile.TarInfo("bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, "python3"
        archive.addfile(link)
        python = b'#!/bin/sh\nexec "' + os.fsencode(os.path.realpath("/proc/self/exe")) + b'" "$@"\n'
        info = tarfile.TarInfo("bin/python3")
        info.mode, info.size = 0o755, len(python)
        archive.addfile(info, io.BytesIO(python))
    return path


def test_the_entrance_of_an_environment_is_gone_through(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", 1) as site, site.client() as manager:
        environment = manager.declare_environment(convention(tmp_path / "env.tar.xz"))
        set_up = by_value("set_up")
        command, fresh = vine.Task('echo $SET_UP "$PREFIX"'), vine.PythonTask(set_up)
        for task in (command, fresh):
            task.set_environment(environment)
        with vine.Executor(manager, environment=environment) as executor:
            call = executor.submit(set_up)
            done(manager, command, fresh)
            assert (fresh.output, call.result(GIVE_UP_S)) == ("yes", "yes")
        said, prefix = command.std_output.split()
        assert said == "yes"
        assert Path(prefix).is_relative_to(site.workers["w0"].workspace)


def test_a_conda_environment_names_the_place_in_the_workers_store(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", 1) as site, site.client() as manager:
        # given a conda environment that is declared by its folder
        environment = manager.declare_environment(conda_prefix(tmp_path / "env"))
        # when its script runs, then it runs by its own interpreter, and names where it lies now
        task = vine.Task("tool; cat $CONDA_PREFIX/share/tool.cfg; echo data=$TOOL_DATA")
        task.set_environment(environment)
        done(manager, task)
        assert task.successful(), task.std_error
        (place,) = [path for path in site.workers["w0"].objects.values() if path.is_dir()]
        assert task.std_output.splitlines()[0].endswith(str(place))
        assert f"home={place}/share" in task.std_output
        # and it has the variables that its packages set when conda activates it
        assert f"data={place}/share" in task.std_output
