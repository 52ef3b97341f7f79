"""What does a user read when something is wrong: one line that names the thing and the remedy, soon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site, check_message, done, on, one_line_error, run, the_error
from tests.waiting import GIVE_UP_S, until
from vine import errors


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("errors") / "site", ["w0"]) as site:
        yield site


# --- tasks ---------------------------------------------------------------------------------------------


def test_no_worker_fits(manager: vine.Manager) -> None:
    task = vine.Task("make everything")
    task.set_memory(1_000_000)
    done(manager, task)
    words = (
        "make everything",
        "asks for 1000000 MB memory",
        "largest worker has 1000 MB memory",
        "start larger workers",
    )
    check_message(the_error(task), errors.NoWorkerFits, *words)
    assert task.result == "resource exhaustion"


def test_a_missing_input_file(manager: vine.Manager, tmp_path: Path) -> None:
    task = vine.Task("cat data")
    task.add_input(manager.declare_file(tmp_path / "no-such.csv"), "data")
    done(manager, task)
    check_message(the_error(task), errors.InputMissing, str(tmp_path / "no-such.csv"))


def test_an_input_file_that_was_changed_after_its_declaration(manager: vine.Manager, tmp_path: Path) -> None:
    # given
    path = tmp_path / "data.csv"
    path.write_text("before")
    file = manager.declare_file(path)
    assert file.contents(timeout=GIVE_UP_S) == b"before"
    path.write_text("after it was declared")
    # when
    task = vine.Task("cat data")
    task.add_input(file, "data")
    done(manager, task)
    # then
    check_message(the_error(task), errors.InputChanged, str(path), "declare it again")


def test_a_function_that_cannot_be_serialised(executor: vine.Executor) -> None:
    numbers = bodies.a_generator()

    def take_one() -> int:
        return int(next(numbers))

    with pytest.raises(errors.NotSerialisable) as raised:
        executor.submit(take_one)
    check_message(raised.value, errors.NotSerialisable, "take_one", "generator")


def test_an_argument_that_cannot_be_serialised(executor: vine.Executor) -> None:
    with pytest.raises(errors.NotSerialisable) as raised:
        executor.submit(bodies.length, bodies.a_generator())
    check_message(raised.value, errors.NotSerialisable, "length", "generator")


def test_a_result_that_cannot_be_serialised(executor: vine.Executor) -> None:
    error = executor.submit(bodies.a_generator).exception(GIVE_UP_S)
    check_message(error, errors.NotSerialisable, "a_generator: the result is a generator", "return a list of it")


def test_a_call_that_raises_brings_its_own_exception_and_where_it_came_from(executor: vine.Executor) -> None:
    error = executor.submit(bodies.fail, "no such luck").exception(GIVE_UP_S)
    check_message(error, ValueError, "no such luck")
    cause = str(error.__cause__)  # type: ignore[union-attr]
    assert "bodies.py" in cause
    assert "in fail" in cause
    assert "vine_worker" not in cause


def test_a_call_that_leaves_its_interpreter(executor: vine.Executor) -> None:
    error = executor.submit(bodies.leave, 3).exception(GIVE_UP_S)
    check_message(error, errors.TaskFailed, "leave", "sys.exit(3)")


def test_a_command_that_ends_with_an_exit_code(manager: vine.Manager) -> None:
    (task,) = done(manager, vine.Task("echo trouble >&2; exit 7"))
    assert (task.exit_code, task.result, task.std_error) == (7, "success", "trouble\n")
    check_message(the_error(task), errors.TaskFailed, "exit code 7", "echo trouble")


def test_a_command_that_is_killed_by_a_signal(manager: vine.Manager) -> None:
    (task,) = done(manager, vine.Task("kill -SEGV $$"))
    check_message(the_error(task), errors.TaskFailed, "SIGSEGV", "kill -SEGV")


def test_a_command_that_takes_too_long(manager: vine.Manager) -> None:
    task = vine.Task("sleep 1000")
    task.set_time_max(0.2)
    done(manager, task)
    check_message(the_error(task), errors.TimeLimitExceeded, "sleep 1000", "0.2 s")


def test_a_command_that_does_not_make_its_output(manager: vine.Manager) -> None:
    task = vine.Task("true")
    task.add_output(manager.declare_temp(), "results/table.csv")
    done(manager, task)
    check_message(the_error(task), errors.TaskFailed, "results/table.csv")
    assert task.result == "output missing"


def test_every_failure_is_told_by_vine_status_with_its_cause(site: Site, executor: vine.Executor) -> None:
    executor.submit(bodies.fail, "a cause to be told").exception(GIVE_UP_S)
    (failure,) = [found for found in _failures(site) if "a cause to be told" in found["message"]]
    assert (failure["label"], failure["outcome"], failure["worker"]) == ("fail", "exception", "w0")
    assert Path(str(failure["log_path"])).is_file()


def _failures(site: Site) -> list[dict[str, str]]:
    def told() -> list[dict[str, str]] | None:
        found: list[dict[str, str]] = site.status()["failures"]
        return found if any("a cause to be told" in failure["message"] for failure in found) else None

    return until(told, "the failure is told")


# --- commands --------------------------------------------------------------------------------------------


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # given
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # when
        ended = run("vine-manager", "--bind", f"127.0.0.1:{port}", folder=tmp_path)
        with pytest.raises(errors.CannotBind) as raised:
            vine.Manager(port=port, run_info_path=tmp_path / "runs")
    # then
    assert ended.returncode == errors.ExitCode.CANNOT_BIND
    assert f"127.0.0.1:{port}" in one_line_error(ended, "vine-manager")
    check_message(raised.value, errors.CannotBind, f"127.0.0.1:{port}")
    assert list(tmp_path.iterdir()) == [], "no run directory is left of a run that never was"


def test_a_connection_file_of_another_run(site: Site, tmp_path: Path) -> None:
    # given: the other run has ended, and this one listens where it did
    with a_site(tmp_path / "other") as other:
        path = _moved(other.run_dir, tmp_path / "stolen", json.loads(site.connection.read_text())["endpoint"])
    # when
    ended = {name: run(name, "--connection", path) for name in ("vine-worker", "vine-factory")}
    with pytest.raises(errors.ConnectionRefused) as raised:
        vine.Manager(connection=path)
    # then
    for name, command in ended.items():
        assert command.returncode == errors.ExitCode.REFUSED, command.stderr
        assert "use the connection file" in one_line_error(command, name)
    check_message(raised.value, errors.ConnectionRefused, "use the connection file")


def _moved(run_dir: Path, copy: Path, endpoint: str) -> Path:
    copy.mkdir(mode=0o700)
    for name in ("connection.json", "client.json", "factory.json"):
        content = json.loads((run_dir / name).read_text())
        (copy / name).touch(mode=0o600)
        (copy / name).write_text(json.dumps({**content, "endpoint": endpoint}))
    return copy


def test_no_connection_file(tmp_path: Path) -> None:
    missing = tmp_path / "connection.json"
    for name in ("vine-worker", "vine-factory"):
        ended = run(name, "--connection", missing)
        assert ended.returncode == errors.ExitCode.USAGE
        assert str(tmp_path) in one_line_error(ended, name)
    with pytest.raises(errors.ConnectionFileError) as raised:
        vine.Manager(connection=missing)
    check_message(raised.value, errors.ConnectionFileError, str(tmp_path))


def test_a_connection_file_that_others_can_read(site: Site, tmp_path: Path) -> None:
    path = _moved(site.run_dir, tmp_path / "open", "tcp://127.0.0.1:9") / "connection.json"
    path.chmod(0o644)
    ended = run("vine-worker", "--connection", path)
    assert ended.returncode == errors.ExitCode.USAGE
    assert str(path) in one_line_error(ended, "vine-worker")


def test_a_manager_that_is_gone(tmp_path: Path) -> None:
    # given: a run that has ended
    with a_site(tmp_path / "site") as site:
        site.end()
    # when
    clients = [
        _in_short("import vine; vine.Manager(connection={!r})", site),
        _in_short("import sys; from vine_worker.main import main; sys.exit(main(['--connection', {!r}]))", site),
        _in_short("import sys; from vine_factory.main import main; sys.exit(main(['--connection', {!r}]))", site),
    ]
    ended = [client.communicate(timeout=GIVE_UP_S)[1] for client in clients]
    # then
    for client, complaints in zip(clients, ended, strict=True):
        assert client.returncode != 0
        last = complaints.splitlines()[-1]
        assert "no manager answered at tcp://127.0.0.1:" in last
        assert "check that it runs" in last
    assert [client.returncode for client in clients[1:]] == [errors.ExitCode.MANAGER_LOST] * 2
    assert [len(complaints.splitlines()) for complaints in ended[1:]] == [1, 1]


def _in_short(program: str, site: Site) -> subprocess.Popen[str]:
    """The program, with a shorter patience than ten seconds."""
    import sys

    from tests.live.helpers import variables

    text = "from vine import config; config.connect_timeout_s = 1.0; " + program.format(str(site.run_dir))
    return subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.PIPE, text=True, env=variables())


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    ended = run("vine-status", tmp_path)
    assert ended.returncode == errors.ExitCode.USAGE
    assert str(tmp_path) in one_line_error(ended, "vine-status")


def test_a_wrong_option_of_a_command(tmp_path: Path) -> None:
    ended = run("vine-manager", "--set", "no_such_limit=1", folder=tmp_path)
    assert ended.returncode == errors.ExitCode.USAGE
    assert "no_such_limit" in one_line_error(ended, "vine-manager")


# --- space -------------------------------------------------------------------------------------------------


def test_a_workspace_without_space_for_an_input(tmp_path: Path) -> None:
    with _a_small_worker(tmp_path) as (site, options), site.client() as manager:
        # given
        site.worker("w0", *options)
        manager.wait_for_workers(1, GIVE_UP_S)
        task = vine.Task("wc -c < input")
        task.add_input(manager.declare_buffer(os.urandom(40_000_000)), "input")
        small = vine.Task("wc -c < input")
        small.add_input(manager.declare_buffer(os.urandom(4_000_000)), "input")
        # when
        done(manager, task)
        done(manager, small)
        # then
        check_message(the_error(task), errors.OutOfDisk, str(site.folder / "workspace-w0"), "40000000", "--disk")
        assert small.std_output.strip() == "4000000", "the worker goes on"


def test_a_task_that_could_not_run_for_want_of_space_goes_elsewhere(tmp_path: Path) -> None:
    with _a_small_worker(tmp_path) as (site, options), site.client() as manager:
        # given: only the small worker is there when the task comes
        site.worker("w0", *options)
        manager.wait_for_workers(1, GIVE_UP_S)
        large = manager.declare_buffer(os.urandom(40_000_000))
        site.worker("w1")
        manager.wait_for_workers(2, GIVE_UP_S)
        tasks = [vine.Task("wc -c < input") for _ in range(4)]
        for task in tasks:
            task.add_input(large, "input")
        # when
        done(manager, *tasks)
        # then
        assert [task.std_output.strip() for task in tasks] == ["40000000"] * 4, [task.error for task in tasks]
        assert {task.worker for task in tasks} == {"w1"}


def test_an_output_without_space(tmp_path: Path) -> None:
    with _a_small_worker(tmp_path) as (site, options), site.client() as manager:
        # given
        site.worker("w0", *options)
        manager.wait_for_workers(1, GIVE_UP_S)
        task = on("w0", vine.Task("head -c 120000000 /dev/zero > made"))
        task.add_output(manager.declare_temp(), "made")
        # when
        done(manager, task)
        # then: it could not be written, or not be kept
        check_message(the_error(task), errors.OutOfDisk, str(site.folder / "workspace-w0"), "space", "--workspace")
        (again,) = done(manager, vine.Task("true"))
        assert again.successful()


@contextmanager
def _a_small_worker(folder: Path) -> Iterator[tuple[Site, list[str]]]:
    """A workspace with room for some 30 MB: a file system of its own, or a budget where we may not mount one."""
    workspace = folder / "site" / "workspace-w0"
    workspace.mkdir(parents=True)
    size = 30_000_000 + (64 << 20)  # Workers leave 64 MiB to others.
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(workspace)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        with a_site(folder / "site") as site:
            yield site, [] if mounted else ["--disk", "30"]
    finally:
        if mounted:
            subprocess.run(["umount", str(workspace)], check=True)


# --- stopping -----------------------------------------------------------------------------------------------


def test_commands_that_are_interrupted_end_in_order_and_say_nothing(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"]) as site:
        site.workers["w0"].send(signal.SIGINT)
        assert site.workers["w0"].wait() == 0
        site.manager.send(signal.SIGINT)
        assert site.manager.wait() == 0
        assert site.workers["w0"].complaints() + site.manager.complaints() == ""
