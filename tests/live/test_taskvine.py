"""Does what TaskVine's users know do here what they expect of it, through real processes?"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site, done, on, run, the_error
from tests.waiting import GIVE_UP_S, until
from vine import errors


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("taskvine") / "site", 2, "--cores", 2) as site:
        yield site


# --- mini-tasks ----------------------------------------------------------------------------------------


def test_a_minitask_runs_once_for_all_that_need_its_file_however_often_it_is_declared(
    site: Site, manager: vine.Manager, tmp_path: Path
) -> None:
    # given two declarations of one definition, that notes each of its runs
    log, files = tmp_path / "runs", []
    for _ in range(2):
        maker = vine.Task(f"echo run >> {log}; tr a-z A-Z < small > large")
        maker.add_input(manager.declare_buffer("abc" * 40_000), "small")
        files.append(manager.declare_minitask(maker, "large"))
    tasks = [on(name, vine.Task("tail -c 3 in")) for name in site.workers for _ in files]
    for number, task in enumerate(tasks):
        task.add_input(files[number % 2], "in")
    # when tasks on both workers take it, and the client too
    done(manager, *tasks)
    assert manager.fetch_file(files[0], GIVE_UP_S) == b"ABC" * 40_000
    # then
    assert [task.std_output for task in tasks] == ["ABC"] * 4
    assert log.read_text() == "run\n"


def test_minitasks_take_each_others_files_and_folders(manager: vine.Manager) -> None:
    first = manager.declare_minitask(vine.Task("mkdir folder; echo deep > folder/file"), "folder")
    second = vine.PythonTask(bodies.copy_text, "folder/file", "copy")
    second.add_input(first, "folder")
    task = vine.Task("cat copied", inputs={manager.declare_minitask(second, "copy"): "copied"})
    done(manager, task)
    assert task.std_output == "deep\n"


def test_who_needs_the_file_of_a_minitask_that_fails_hears_why(manager: vine.Manager) -> None:
    broken = manager.declare_minitask(vine.Task("exit 3"), "nothing")
    task = vine.Task("true", inputs={broken: "in"})
    done(manager, task)
    assert isinstance(the_error(task), errors.DependencyFailed)
    assert "exit 3" in str(task.error) and "exit code 3" in str(task.error)
    assert task.result == "input missing" and not task.completed()


# --- outputs -------------------------------------------------------------------------------------------


def test_outputs_are_taken_after_the_ends_that_they_are_for(manager: vine.Manager, tmp_path: Path) -> None:
    # given a task that succeeds and one that fails, with an output for each kind of end
    tasks = [vine.Task(f"echo {code} | tee success failure always > usual; exit {code}") for code in (0, 7)]
    for task, code in zip(tasks, (0, 7), strict=True):
        for name, options in {
            "usual": {},
            "success": {"success_only": True},
            "failure": {"failure_only": True},
            "always": {"success_only": False},
        }.items():
            task.add_output(manager.declare_file(tmp_path / f"{name}-{code}"), name, **options)
    # when
    done(manager, *tasks)
    # then
    assert {path.name for path in tmp_path.iterdir()} == {"usual-0", "success-0", "always-0", "failure-7", "always-7"}
    assert (tmp_path / "failure-7").read_text() == "7\n"
    assert [(task.result, task.exit_code) for task in tasks] == [("success", 0), ("success", 7)]
    assert [task.successful() for task in tasks] == [True, False]


def test_what_a_task_killed_at_its_limit_has_left_is_there_to_be_read(manager: vine.Manager) -> None:
    log = manager.declare_buffer()
    task = vine.Task("echo so far > log; sleep 600", time_max=0.3)
    task.add_output(log, "log", failure_only=True)
    done(manager, task)
    assert task.result == "max wall time"
    assert log.contents(timeout=GIVE_UP_S) == b"so far\n"


def test_a_watched_output_grows_here_while_its_task_runs(manager: vine.Manager, tmp_path: Path) -> None:
    # given a task that goes on when it is told to
    told, watched = tmp_path / "told", tmp_path / "watched"
    task = vine.Task(f"echo first > out; until test -e {told}; do sleep 0.05; done; echo second >> out")
    task.add_output(manager.declare_file(watched), "out", watch=True)
    manager.submit(task)
    # when it has written something
    until(lambda: watched.exists() and watched.read_text() == "first\n", "the output is here before the task ends")
    assert not task.completed()
    told.touch()
    # then
    assert manager.wait(GIVE_UP_S) is task and task.successful()
    assert watched.read_text() == "first\nsecond\n"


# --- files ---------------------------------------------------------------------------------------------


def test_what_must_not_be_shared_comes_to_others_by_the_manager(site: Site, manager: vine.Manager) -> None:
    # given a temp on one worker, that no other may have of it
    kept = manager.declare_temp(peer_transfer=False)
    first, second = site.workers
    make = on(first, vine.Task("head -c 2000000 /dev/urandom > out", outputs={kept: "out"}))
    done(manager, make)
    before = manager.stats.bytes_from_manager
    # when a task of the other worker takes it
    take = on(second, vine.Task("wc -c < in", inputs={kept: "in"}))
    done(manager, take)
    # then
    assert take.std_output.strip() == "2000000"
    until(lambda: manager.stats.bytes_from_manager >= before + 2_000_000, "the manager has sent it")


def test_a_file_goes_when_it_is_undeclared_if_it_was_to(manager: vine.Manager, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.write_text("made for the task")
    file = manager.declare_file(spool, unlink_when_done=True)
    task = vine.Task("cat in", inputs={file: "in"})
    done(manager, task)
    assert task.std_output == "made for the task" and spool.exists()
    manager.undeclare_file(file)
    until(lambda: not spool.exists(), "it is gone")


def test_files_that_are_to_go_go_with_their_manager(site: Site, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    with site.client() as manager:
        manager.declare_file(tmp_path / "folder", unlink_when_done=True)
        manager.declare_file(tmp_path / "made later", unlink_when_done=True)
        (tmp_path / "made later").write_text("x")
    until(lambda: not list(tmp_path.iterdir()), "all of it is gone")


# --- tasks ---------------------------------------------------------------------------------------------


def test_a_python_task_may_leave_its_result_to_others_as_a_file(manager: vine.Manager) -> None:
    # given a result that stays on a worker, and one that is no pickle
    maker, raw = vine.PythonTask(bodies.numbers, 1000), vine.PythonTask(bytes, 4)
    for task in (maker, raw):
        task.enable_temp_output()
    raw.disable_output_serialization()
    done(manager, maker, raw)
    # when others take it
    assert maker.output_file is not None and raw.output_file is not None
    taker = vine.PythonTask(bodies.sum_of_pickled, "in")
    taker.add_input(maker.output_file, "in")
    done(manager, taker)
    # then
    assert taker.output == sum(range(1000))
    assert pickle.loads(manager.fetch_file(maker.output_file, GIVE_UP_S)) == list(range(1000))
    assert manager.fetch_file(raw.output_file, GIVE_UP_S) == bytes(4)
    with pytest.raises(errors.UsageError, match="output_file"):
        _ = maker.output


def test_a_call_of_a_library_may_leave_its_result_to_others_as_a_file(manager: vine.Manager) -> None:
    # given a call whose result stays on a worker
    manager.install_library(manager.create_library_from_functions("left", bodies.numbers, slots=1))
    maker = vine.FunctionCall("left", "numbers", 1000)
    maker.enable_temp_output()
    done(manager, maker)
    # when another task takes it
    assert maker.output_file is not None
    taker = vine.PythonTask(bodies.sum_of_pickled, "in")
    taker.add_input(maker.output_file, "in")
    done(manager, taker)
    # then
    assert taker.output == sum(range(1000))
    manager.remove_library("left")


def test_a_task_finds_its_sandbox_and_what_it_may_use_in_variables_and_not_what_was_unset(
    manager: vine.Manager,
) -> None:
    task = vine.Task('test "$VINE_SANDBOX" = "$PWD" && echo $CORES $MEMORY $DISK $GPUS ${HOME-none} $NAME')
    for name in ("cores", "memory", "disk"):
        getattr(task, f"set_{name}")(1)
    task.set_env_var("HOME")
    task.set_env_var("NAME", "value")
    call = vine.PythonTask(bodies.variable, "HOME")
    call.set_env_var("HOME", None)
    done(manager, task, call)
    assert task.std_output == "1 1 1 0 none value\n"
    assert call.output is None


def test_a_signal_is_told_as_one(manager: vine.Manager) -> None:
    task = vine.Task("kill -9 $$")
    done(manager, task)
    assert (task.result, task.exit_code, task.completed()) == ("signal", 9, False)


# --- functions over many values ------------------------------------------------------------------------


def test_functions_are_mapped_paired_and_reduced(manager: vine.Manager) -> None:
    assert manager.map(lambda x: x * x, range(7), chunksize=3) == [0, 1, 4, 9, 16, 25, 36]
    assert manager.pair("".join, "ab", "xyz", chunksize=4) == ["ax", "ay", "az", "bx", "by", "bz"]
    assert manager.tree_reduce(max, [3, 9, 4, 1, 7], chunksize=2) == 9
    with pytest.raises(ZeroDivisionError):
        manager.map(lambda x: 1 // x, [1, 0])


def test_taskvines_executor_is_ours_and_takes_prepared_calls(manager: vine.Manager) -> None:
    with vine.FuturesExecutor(manager=manager, factory=False) as executor:
        prepared = executor.future_task(pow, 2, 5)
        prepared.set_cores(1)
        first = executor.submit(prepared)
        second = executor.submit(pow, first, 2)
        assert (first.result(GIVE_UP_S), second.result(GIVE_UP_S)) == (32, 1024)
        assert list(executor.map(abs, [-1, 2])) == [1, 2]
        executor.install_library(executor.create_library_from_functions("futures", bodies.add))
        called = executor.submit(executor.future_funcall("futures", "add", first, 1))
        assert executor.submit(abs, called).result(GIVE_UP_S) == 33
        manager.remove_library("futures")


# --- the run -------------------------------------------------------------------------------------------


def test_a_program_can_see_how_hungry_its_run_is(manager: vine.Manager) -> None:
    manager.tune("hungry-minimum", 5)
    idle = (4, 0)
    until(lambda: (manager.stats.total_cores, manager.stats.tasks_on_workers) == idle, "both workers are idle")
    before = manager.hungry()
    manager.tune("hungry-minimum", 50)
    assert (before, manager.hungry()) == (8, 50)
    waiting = [vine.Task("true", time_start=time.time() + 600) for _ in range(20)]
    for task in waiting:
        manager.submit(task)
    assert manager.hungry() == 30
    until(lambda: manager.stats.tasks_waiting == 20, "they wait")
    manager.cancel_all()
    for _ in waiting:
        assert manager.wait("wait_forever") is not None
    assert manager.wait(0) is None


def test_a_program_can_ask_for_its_workers_tasks_and_categories(site: Site, manager: vine.Manager) -> None:
    task = vine.Task("sleep 600", tag="long", category="sleep")
    manager.submit(task)
    until(lambda: [row["state"] for row in manager.status("tasks")] == ["running"], "it runs")
    (row,) = manager.status("tasks")
    assert (row["task_id"], row["tag"], row["category"]) == (task.id, "long", "sleep")
    assert row["worker"] in site.workers
    until(lambda: sum(worker["running"] for worker in manager.status("workers")) == 1, "that worker tells of it")
    assert "sleep" in [category["name"] for category in manager.status("categories")]
    manager.cancel_all()
    assert manager.wait(GIVE_UP_S) is task
    until(lambda: manager.status("tasks") == [], "the journal has its end")


def test_no_task_begins_before_the_workers_that_it_waits_for_are_there(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", 1) as site, site.client() as manager:
        manager.tune("wait-for-workers", 2)
        task = vine.Task("true")
        manager.submit(task)
        until(lambda: "2 workers" in run("vine-status", site.run_dir, "why", task.id).stdout, "it is said why")
        site.worker("late")
        assert manager.wait(GIVE_UP_S) is task and task.successful()
