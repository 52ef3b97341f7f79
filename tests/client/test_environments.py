"""Environments are declared in every form, for a task, an executor or a manager; a wrong Python is told at once."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import pytest

from tests.client.scripted import ScriptedManager
from tests.environments.made import PYTHON, offline, virtualenv, wheel
from vine import errors
from vine.client.executor import Executor
from vine.client.files import File
from vine.client.manager import Manager
from vine.client.python_tasks import PythonTask
from vine.client.tasks import Task
from vine.content.archive import unpack
from vine.wire.messages import FileUnreadable, SubmitTasks
from vine.wire.parts import FileKind, TaskSpec

pytestmark = pytest.mark.live

OTHER = "3.8"


def archive(path: Path, python: str) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name in ("bin/python", f"lib/python{python}/os.py"):
            made.addfile(tarfile.TarInfo(name))
    return path


def submitted(scripted: ScriptedManager, count: int) -> list[TaskSpec]:
    def specs() -> list[TaskSpec]:
        return [spec for message in scripted.all(SubmitTasks) for spec in message.tasks]

    scripted.until(lambda: len(specs()) >= count)
    return specs()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def bound_archive(scripted: ScriptedManager, environment: File) -> Path:
    """Where the archive of a declared environment came to lie."""
    scripted.until(lambda: environment.file_id in scripted.files)
    spec = scripted.files[environment.file_id]
    assert spec.kind is FileKind.UNTAR
    assert spec.source is not None
    source = spec.source
    scripted.until(lambda: source in scripted.bound)
    return Path(scripted.bound[source].path)


def test_what_is_no_archive_is_packed_once_and_kept_beside_the_run(
    manager: Manager, scripted: ScriptedManager, tmp_path: Path
) -> None:
    # given a virtual environment that is declared twice, and once more as requirements
    made = virtualenv(tmp_path / "made", mine="VALUE = 1\n")
    wheel(tmp_path / "wheels", "mine")
    one, two = manager.declare_environment(made), manager.declare_poncho(str(made))
    three = manager.declare_environment(offline(tmp_path / "wheels", "mine"))
    # when they are packed
    paths = [bound_archive(scripted, each) for each in (one, two, three)]
    # then the first two are one archive, which is also in the cache and beside the run
    assert paths[0].stat().st_ino == paths[1].stat().st_ino
    kept = {path.stat().st_ino for path in (tmp_path / "cache" / "vine" / "environments").glob("*.tar.zst")}
    beside = {path.stat().st_ino for path in (manager.run_directory.parent / "environments").iterdir()}
    assert kept == beside == {path.stat().st_ino for path in paths}
    # and each holds what was asked for
    unpack(paths[2], tmp_path / "there")
    assert (tmp_path / "there" / "bin" / "say-mine").exists()


def test_no_interpreter_is_added_to_what_is_packed_already(manager: Manager, tmp_path: Path) -> None:
    packed = archive(tmp_path / "env.tar.gz", PYTHON)
    for environment in (packed, manager.declare_file(packed)):
        with pytest.raises(errors.UsageError, match="is packed already"):
            manager.declare_environment(environment, copy_interpreter=True)


def test_what_cannot_be_packed_is_told_to_the_run(manager: Manager, scripted: ScriptedManager, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    manager.declare_environment(offline(tmp_path / "wheels", "not-to-be-had"))
    scripted.until(lambda: scripted.all(FileUnreadable))
    assert "not-to-be-had" in scripted.all(FileUnreadable)[0].message


def test_functions_do_not_go_to_another_python_and_commands_do(
    manager: Manager, scripted: ScriptedManager, tmp_path: Path
) -> None:
    # given an environment with another Python, in whatever form it is declared
    declared = manager.declare_file(archive(tmp_path / "env.tar.gz", OTHER))
    for environment in (manager.declare_environment(tmp_path / "env.tar.gz"), manager.declare_environment(declared)):
        # when functions are to run on it, then both versions are named before anything is sent
        ours = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
        task = PythonTask(len, "x")
        task.set_environment(environment)
        with Executor(manager) as executor:
            with pytest.raises(errors.UsageError, match=f"Python {OTHER}, and this program runs on {ours}"):
                executor.options(environment=environment)
            with pytest.raises(errors.UsageError, match=f"'len' cannot run on .*env.tar.gz: that has Python {OTHER}"):
                manager.submit(task)
        # and a command may
        command = Task("python --version")
        command.set_environment(environment)
        manager.submit(command)
    assert len(submitted(scripted, 2)) == 2


@pytest.mark.parametrize("python", [PYTHON, "none at all"])
def test_functions_go_to_the_same_python_and_to_one_that_nobody_can_tell(
    manager: Manager, tmp_path: Path, python: str
) -> None:
    environment = manager.declare_environment(archive(tmp_path / "env.tar.gz", python))
    with Executor(manager) as executor:
        executor.options(environment=environment)


def test_the_most_particular_environment_counts(manager: Manager, scripted: ScriptedManager, tmp_path: Path) -> None:
    # given an environment for all of a manager's tasks, one for an executor, and one for some calls
    default, for_executor, for_call = (
        manager.declare_environment(archive(tmp_path / f"{name}.tar.gz", PYTHON)) for name in ("a", "b", "c")
    )
    manager.set_default_environment(default)
    plain, own, none = Task("one"), Task("two"), Task("three")
    own.set_environment(for_call)
    none.set_environment(None)
    for task in (plain, own, none):
        manager.submit(task)
    with Executor(manager) as first, Executor(manager, environment=for_executor) as second:
        for executor in (first, second, second.options(environment=for_call), second.options(environment=None)):
            executor.submit(len, "x").result(30)
    # when tasks are submitted, then each names the one that was said for it, or the manager's
    ids = [spec.environment for spec in submitted(scripted, 7)]
    expected = [default, for_call, None, default, for_executor, for_call, None]
    assert ids == [file if file is None else file.file_id for file in expected]


def test_a_manager_can_be_given_its_environment_when_it_starts(scripted: ScriptedManager, tmp_path: Path) -> None:
    with Manager(connection=scripted.connection, environment=archive(tmp_path / "a.tar.gz", PYTHON)) as manager:
        assert manager.default_environment is not None
        manager.submit(Task("true"))
        assert submitted(scripted, 1)[0].environment == manager.default_environment.file_id
        elsewhere = ScriptedManager(tmp_path / "other")
        with Manager(connection=elsewhere.connection) as other:
            with pytest.raises(errors.UsageError, match="no file of this manager"):
                other.set_default_environment(manager.default_environment)
            with pytest.raises(errors.UsageError, match="no file of this manager"):
                Executor(other, environment=manager.default_environment)
        elsewhere.stop()
    with pytest.raises(errors.FileMissing):
        Manager(connection=scripted.connection, environment=tmp_path / "nothing")
