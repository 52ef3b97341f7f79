"""Does the manager's face do what its users ask, and say clearly what cannot be done?"""

from __future__ import annotations

import concurrent.futures
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

import vine
from tests.client.scripted import ScriptedManager
from tests.waiting import until
from vine import errors
from vine.client.executor import Executor
from vine.client.manager import Manager
from vine.client.python_tasks import PythonTask
from vine.client.tasks import Task
from vine.content.hashing import manifest_of_file
from vine.content.manifest import object_id
from vine.wire.messages import ClientBye, FileUnreadable, ForgetFiles, ForgetResults, SubmitTasks
from vine.wire.parts import CacheLevel, FileKind

pytestmark = pytest.mark.live


def double(number: int) -> int:
    return 2 * number


def fail() -> None:
    raise ValueError("on purpose")


def test_a_command_comes_back_with_all_that_is_known_of_it(manager: Manager) -> None:
    task = Task("echo hello")
    task.set_tag("greeting")
    task_id = manager.submit(task)
    assert not manager.empty()
    back = manager.wait(30)
    assert back is task
    assert (back.id, back.tag, back.result, back.exit_code) == (task_id, "greeting", "success", 0)
    assert back.successful()
    assert (back.std_output, back.std_error, back.hostname) == ("echo hello", "", "here")
    assert manager.empty()
    assert manager.wait(30) is None  # At once: there is nothing to wait for.


def test_python_tasks_return_values_and_errors(manager: Manager) -> None:
    good, bad = PythonTask(double, 21), PythonTask(fail)
    for task in (good, bad):
        manager.submit(task)
    assert {manager.wait(30), manager.wait(30)} == {good, bad}
    assert good.output == 42
    assert not bad.successful()
    assert (bad.result, bad.exit_code, bad.completed()) == ("success", 1, True)
    assert isinstance(bad.output, ValueError) and isinstance(bad.output, vine.PythonTaskNoResult)
    assert not isinstance(good.output, vine.PythonTaskNoResult)


def test_results_of_tasks_need_not_be_kept(manager: Manager, scripted: ScriptedManager) -> None:
    first = manager.submit(PythonTask(double, 1))
    manager.wait(30)
    manager.submit(PythonTask(double, 2))
    scripted.until(lambda: any(first in message.task_ids for message in scripted.all(ForgetResults)))


def test_tasks_end_though_nobody_is_in_wait(manager: Manager) -> None:
    task = Task("true")
    manager.submit(task)
    until(task.completed, "its end is told")


def test_wait_gives_up_when_the_time_is_up(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held.add("sleep 9")
    manager.submit(Task("sleep 9"))
    assert manager.wait(0.01) is None
    assert not manager.empty()


def test_cancelled_tasks_come_back_through_wait(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held |= {"sleep 1", "sleep 2", "sleep 3"}
    tasks = [Task(f"sleep {number}") for number in (1, 2, 3)]
    first, *_ = [manager.submit(task) for task in tasks]
    assert manager.cancel_by_task_id(first)
    back = manager.wait(30)
    assert back is tasks[0]
    assert back.result == "cancelled"
    assert isinstance(back.error, errors.TaskCancelled)
    assert not manager.cancel_by_task_id(first)
    assert manager.cancel_all() == 2
    assert {manager.wait(30), manager.wait(30)} == set(tasks[1:])
    assert manager.empty()


def test_a_task_is_submitted_once(manager: Manager) -> None:
    task = Task("true")
    manager.submit(task)
    with pytest.raises(errors.UsageError, match="submitted before"):
        manager.submit(task)


def test_a_local_file_is_bound_to_its_content_in_the_background(
    manager: Manager, scripted: ScriptedManager, tmp_path: Path
) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"d" * 300_000)
    file = manager.declare_file(path, cache="worker", peer_transfer=False)
    scripted.until(lambda: file.file_id in scripted.bound)
    spec, bound = scripted.files[file.file_id], scripted.bound[file.file_id]
    assert (spec.kind, spec.cache, spec.peer_transfer) == (FileKind.LOCAL, CacheLevel.WORKER, False)
    assert (spec.path, spec.exists) == (str(path), True)
    manifest, signature = manifest_of_file(path)
    assert (bound.object_id, bound.signature) == (object_id(manifest), signature)


def test_a_directory_is_one_file_with_a_tree(manager: Manager, scripted: ScriptedManager, tmp_path: Path) -> None:
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "below" / "one").write_text("1")
    file = manager.declare_file(tmp_path / "tree")
    scripted.until(lambda: file.file_id in scripted.bound)
    bound = scripted.bound[file.file_id]
    assert bound.signature is None
    assert [entry.path for entry in bound.manifest.tree or ()] == ["below", "below/one"]


def test_a_path_without_a_file_is_for_an_output(manager: Manager, scripted: ScriptedManager, tmp_path: Path) -> None:
    file = manager.declare_file(tmp_path / "not-yet")
    scripted.until(lambda: file.file_id in scripted.files)
    assert not scripted.files[file.file_id].exists


def test_a_file_that_cannot_be_read_is_told_to_the_manager(
    manager: Manager, scripted: ScriptedManager, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    file = manager.declare_file(tmp_path / "loop")
    scripted.until(lambda: scripted.all(FileUnreadable))
    (word,) = scripted.all(FileUnreadable)
    assert word.file_id == file.file_id
    assert "loop" in word.message


def test_buffers_small_and_large_arrive(manager: Manager, scripted: ScriptedManager) -> None:
    small, large = manager.declare_buffer("text"), manager.declare_buffer(b"l" * 100_000)
    scripted.until(lambda: large.file_id in scripted.bound)
    assert scripted.files[small.file_id].data == b"text"
    path = Path(scripted.bound[large.file_id].path)
    assert path.parent == scripted.staging
    assert path.read_bytes() == b"l" * 100_000


def test_contents_are_fetched(manager: Manager) -> None:
    assert manager.fetch_file(manager.declare_buffer(b"some bytes"), timeout=30) == b"some bytes"
    assert manager.declare_buffer("7").contents(int, timeout=30) == 7
    with pytest.raises(errors.TaskFailed, match="temp was never made"):
        manager.fetch_file(manager.declare_temp(), timeout=30)


def test_untar_and_environment_name_their_archive(manager: Manager, scripted: ScriptedManager, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "env.tar", "w") as archive:
        archive.add(__file__, "bin/python")
    unpacked = manager.declare_environment(tmp_path / "env.tar")
    scripted.until(lambda: unpacked.file_id in scripted.files)
    spec = scripted.files[unpacked.file_id]
    assert spec.kind is FileKind.UNTAR
    assert spec.source is not None
    assert scripted.files[spec.source].path == str(tmp_path / "env.tar")


@pytest.mark.parametrize(
    ("name", "kind", "match"),
    [("missing.tar", errors.FileMissing, "no environment at"), (".", errors.UsageError, "no pyvenv.cfg")],
)
def test_what_is_no_environment_is_refused(
    manager: Manager, tmp_path: Path, name: str, kind: type[Exception], match: str
) -> None:
    with pytest.raises(kind, match=match):
        manager.declare_environment(tmp_path / name)


def test_a_file_of_another_manager_is_refused(manager: Manager, tmp_path: Path) -> None:
    elsewhere = ScriptedManager(tmp_path / "other")
    with Manager(connection=elsewhere.connection) as other:
        file = other.declare_buffer("x")
        task = Task("cat x")
        task.add_input(file, "x")
        with pytest.raises(errors.UsageError, match="is no file of this manager"):
            manager.submit(task)
        with pytest.raises(errors.UsageError, match="is no file of this manager"):
            manager.undeclare_file(file)
    elsewhere.stop()


def test_an_undeclared_file_may_go(manager: Manager, scripted: ScriptedManager) -> None:
    file = manager.declare_buffer("x")
    manager.undeclare_file(file)
    scripted.until(lambda: ForgetFiles((file.file_id,)) in scripted.heard)


def test_workers_are_waited_for_and_counted(manager: Manager) -> None:
    manager.wait_for_workers(2, 30)
    assert manager.stats.workers == 2
    assert manager.status()["cores"] == 4.0
    with pytest.raises(TimeoutError, match=r"2 of 3 workers .*vine-worker --connection"):
        manager.wait_for_workers(3, 0.01)


def test_closing_says_goodbye_and_cancels_what_is_open(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held |= {"double", "sleep 9"}
    future = Executor(manager).submit(double, 1)
    task = Task("sleep 9")
    manager.submit(task)
    manager.close()
    assert future.cancelled()
    assert isinstance(task.error, errors.TaskCancelled)
    scripted.until(lambda: scripted.all(ClientBye))
    with pytest.raises(errors.ManagerLost, match="has been closed"):
        manager.submit(Task("true"))
    with pytest.raises(errors.ManagerLost, match="has been closed"):
        manager.declare_buffer("x")
    manager.close()  # Again: nothing happens.


def test_a_wrong_key_is_told_in_one_line(scripted: ScriptedManager, tmp_path: Path) -> None:
    other = ScriptedManager(tmp_path / "other")
    text = (tmp_path / "other" / "client.json").read_text()
    ours = (tmp_path / "run" / "client.json").read_text()
    forged = text.replace(_endpoint(text), _endpoint(ours))
    (tmp_path / "other" / "client.json").write_text(forged)
    with pytest.raises(errors.ConnectionRefused) as caught:
        Manager(connection=tmp_path / "other")
    assert "\n" not in str(caught.value)
    other.stop()


def _endpoint(text: str) -> str:
    return next(word for word in text.split('"') if word.startswith("tcp://"))


def test_a_refusal_is_told_with_its_reason(tmp_path: Path) -> None:
    refusing = ScriptedManager(tmp_path / "run", refuse="this run is over")
    with pytest.raises(errors.ConnectionRefused, match="this run is over"):
        Manager(connection=refusing.connection)
    refusing.stop()


def test_a_missing_connection_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.ConnectionFileError, match="start the manager first"):
        Manager(connection=tmp_path / "connection.json")


def test_a_manager_that_dies_again_and_again_fails_everything_that_waits_on_it(
    scripted: ScriptedManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: a started manager process that says where the scripted one listens, and dies when told
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(
        f"#!/bin/sh\necho 'ready {scripted.connection}'\n"
        f"while [ ! -e {tmp_path}/die ]; do sleep 0.02; done\necho 'out of luck' >&2\nexit 7\n"
    )
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    scripted.held |= {"double", "sleep 9"}
    with Manager() as manager, Executor(manager) as executor:
        future = executor.submit(double, 1)
        manager.submit(Task("sleep 9"))
        scripted.until(lambda: len([t for m in scripted.all(SubmitTasks) for t in m.tasks]) == 2)
        # when
        (tmp_path / "die").touch()
        # then
        again = r"the manager has ended \(exit code 7: out of luck\), after it was started again 3 times"
        with pytest.raises(errors.ManagerLost, match=again):
            future.result(30)
        with pytest.raises(errors.ManagerLost, match="out of luck"):
            manager.wait(30)
        with pytest.raises(errors.ManagerLost, match="out of luck"):
            executor.submit(double, 2)
        with pytest.raises(errors.ManagerLost, match="out of luck"):
            manager.wait_for_workers(99, 30)


def test_a_factory_that_dies_before_any_worker_came_fails_the_calls(
    manager: Manager, scripted: ScriptedManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vine.wire.messages import RunState

    scripted.say(RunState(0, 0.0, {}, 0, 0))
    until(lambda: manager.stats.workers == 0, "the count has come")
    scripted.held.add("double")
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(
        f"#!/bin/sh\nwhile [ ! -e {tmp_path}/die ]; do sleep 0.02; done\necho 'no such batch' >&2\nexit 2\n"
    )
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    with Executor(manager, workers=1) as executor:
        future = executor.submit(double, 1)
        (tmp_path / "die").touch()
        with pytest.raises(errors.FactoryLost, match="no such batch"):
            future.result(30)
        with pytest.raises(errors.FactoryLost, match="no such batch"):
            executor.submit(double, 1)


def test_a_forked_child_cannot_use_its_parents_manager_and_harms_nothing(manager: Manager) -> None:
    executor = Executor(manager)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            executor.submit(double, 1)
        except errors.ManagerLost as error:
            code = 0 if "is a fork" in str(error) else 2
        manager.close()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert executor.submit(double, 4).result(30) == 8
    executor.shutdown()


def test_many_threads_may_submit_at_once(manager: Manager) -> None:
    with Executor(manager) as executor, concurrent.futures.ThreadPoolExecutor(4) as threads:
        rounds = [threads.submit(lambda: [executor.submit(double, n) for n in range(50)]) for _ in range(4)]
        for futures in rounds:
            assert [future.result(30) for future in futures.result(30)] == [2 * n for n in range(50)]


def test_the_package_offers_its_names_lazily() -> None:
    assert vine.Manager is Manager
    assert set(vine.__all__) <= set(dir(vine))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        vine.Nothing  # noqa: B018


def test_what_is_no_task_and_no_content_is_refused_in_one_line(manager: Manager) -> None:
    command: Any = "ls"
    with pytest.raises(errors.UsageError, match=r"'ls' is no task: give a vine.Task\(command\)"):
        manager.submit(command)
    with pytest.raises(errors.UsageError, match="5 is no content"):
        manager.declare_buffer(5)  # type: ignore[arg-type]


def test_tasks_are_waited_for_and_cancelled_by_their_tags(manager: Manager) -> None:
    red, blue = Task("echo red"), Task("echo blue")
    red.set_tag("red")
    blue.set_tag("blue")
    for task in (red, blue):
        manager.submit(task)
    assert manager.wait_for_tag("blue", 30) is blue
    assert manager.wait_for_tag("blue") is None
    assert red.id is not None
    assert manager.wait_for_task_id(red.id, 30) is red
    assert manager.cancel_all_by_tag("red") == 0
    assert not manager.cancel_by_task_tag("red")


def test_waiting_takes_taskvines_words(manager: Manager) -> None:
    first, second = (manager.submit(Task("true")) for _ in range(2))
    assert manager.wait_for_task_id(-1, "wait_forever") is not None
    assert manager.wait_for_tag(None, "wait_forever") is not None
    assert manager.wait("wait_forever") is None and {first, second}
    wrong: Any = "soon"
    for wait in (manager.wait, lambda timeout: manager.wait_for_tag("a", timeout)):
        with pytest.raises(errors.UsageError, match="timeout='soon' is no time"):
            wait(wrong)
