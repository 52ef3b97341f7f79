"""What stays behind when a client, a worker or a manager ends, in order or not; and what do workers keep on disk?"""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Program, a_site, at_the_end, check_message, children_of, command_of, done, lines_of
from tests.waiting import GIVE_UP_S, until
from vine import config, errors
from vine.views.reading import open_run

# A client whose run is busy: a warm host has answered, another call and a command are running.
BUSY = """
    import os, signal, sys
    from pathlib import Path
    import vine
    from tests.live import bodies
    from tests.live.helpers import lines_of
    from tests.waiting import until

    folder = sys.argv[1]
    executor = vine.Executor(workers=1, cores=3, workspace=folder + "/workspace", run_info_path=folder + "/runs")
    manager = executor.manager
    temp = manager.declare_temp()
    producer = vine.Task("head -c 100000 /dev/zero > made")
    producer.add_output(temp, "made")
    manager.submit(producer)
    manager.wait(60)
    executor.submit(bodies.add, 1).result(60)
"""
RUNNING = """
    future = executor.submit(bodies.note_and_wait, folder + "/notes", folder + "/never")
    command = vine.Task(f"echo command >> {folder}/notes; sleep 1000")
    command.set_cores(1)
    manager.submit(command)
    until(lambda: len(lines_of(Path(folder, "notes"))) == 2, "both run")
"""
READY = """
    print("ready", flush=True)
"""

ENDS = {
    "shuts down its executor": BUSY + READY + "    executor.shutdown()",
    "just ends": BUSY + READY,
    "closes a busy manager": BUSY + RUNNING + READY + "    manager.close()",
    "raises": BUSY + READY + "    raise ValueError('the script is wrong')",
    "is killed while busy": BUSY + RUNNING + READY + "    os.kill(os.getpid(), signal.SIGKILL)",
    "is told to end while busy": BUSY + RUNNING + READY + "    os.kill(os.getpid(), signal.SIGTERM)",
}


@contextmanager
def a_client(folder: Path, script: str) -> Iterator[Program]:
    """A user's script in a process of its own."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    program = Program([sys.executable, str(path), str(folder)], folder / "client.err", folder)
    try:
        yield program
    finally:
        program.close()


@pytest.mark.parametrize("end", ENDS)
def test_nothing_stays_behind_when_the_client(end: str, tmp_path: Path) -> None:
    with a_client(tmp_path, ENDS[end]) as client:
        # given
        assert client.line() == "ready", client.complaints()
        # when
        client.wait()
        # then
        until(lambda: not client.family(), "no process is left")
        assert list((tmp_path / "workspace").iterdir()) == []
        (run_dir,) = (path for path in (tmp_path / "runs").iterdir() if not path.is_symlink())
        assert not (run_dir / "staging").exists()


def test_a_client_that_ends_by_itself_has_waited_for_the_ends_of_what_it_started(tmp_path: Path) -> None:
    with a_client(tmp_path, ENDS["just ends"]) as client:
        assert client.line() == "ready", client.complaints()
        assert client.wait() == 0, client.complaints()
        assert client.family() == []
        assert client.complaints() == ""


def test_a_worker_that_is_killed_takes_what_it_runs_with_it(tmp_path: Path) -> None:
    # given
    notes = tmp_path / "notes"
    with a_site(tmp_path / "site", ["w0"], "--cores", 2) as site, site.client() as manager:
        executor = vine.Executor(manager)
        executor.submit(bodies.note_and_wait, str(notes), str(tmp_path / "never"))
        command = vine.Task(f"echo command >> {notes}; sleep 1000 & sleep 1000")
        command.set_cores(1)
        manager.submit(command)
        until(lambda: len(lines_of(notes)) == 2, "a call and a command run")
        worker = site.workers["w0"]
        assert any("sleep 1000" in line for line in worker.family())
        # when
        worker.kill()
        # then
        until(lambda: not worker.family(), "its hosts, its commands and its helper have ended")


def test_a_worker_removes_what_a_killed_one_left_in_the_workspace(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"]) as site, site.client() as manager:
        # given
        task = vine.Task("true")
        task.add_input(manager.declare_buffer(b"some bytes"), "input")
        done(manager, task)
        left = site.workers["w0"]
        left.kill()
        assert left.objects
        # when
        site.worker("w1", "--workspace", left.workspace)
        # then
        until(lambda: (left.workspace / "vine-worker-w1").exists(), "the new worker has its folder")
        until(lambda: not left.home.exists(), "the folder of the killed one is gone")


def test_when_a_manager_is_killed_that_is_not_started_again_calls_fail_promptly_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(config, "manager_restarts_max", 0)
    monkeypatch.setattr(config, "manager_lost_after_s", 10 * GIVE_UP_S)  # Its silence is not what tells us.
    executor = vine.Executor(workers=1, workspace=tmp_path / "workspace", run_info_path=tmp_path / "runs")
    future = executor.submit(bodies.note_and_wait, str(tmp_path / "notes"), str(tmp_path / "never"))
    task = vine.Task("true")
    executor.manager.submit(task)
    until(lambda: lines_of(tmp_path / "notes"), "the call runs")
    started = [child for child in psutil.Process().children(recursive=True) if "vine" in command_of(child)]
    (process,) = (child for child in started if "vine.manager.main" in command_of(child))
    # when
    process.kill()
    # then
    check_message(future.exception(GIVE_UP_S), errors.ManagerLost, "signal 9")
    with pytest.raises(errors.ManagerLost):
        executor.submit(bodies.add, 1)
    with pytest.raises(errors.ManagerLost):
        executor.manager.wait(GIVE_UP_S)
    # Nobody has closed anything yet: a factory and workers without a manager are of no use.
    until(lambda: not [child for child in started if command_of(child)], "factory and workers have ended")
    with pytest.raises(errors.ManagerLost):
        executor.submit(bodies.add, 1)
    with pytest.raises(errors.ManagerLost):
        vine.Executor(executor.manager, workers=1)
    executor.shutdown()
    assert list((tmp_path / "workspace").iterdir()) == []


def test_workers_end_in_order_when_the_manager_is_told_to_end(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", 2) as site:
        # when
        site.manager.send(signal.SIGTERM)
        # then
        assert site.manager.wait() == 0, site.manager.complaints()
        for worker in site.workers.values():
            assert worker.wait() == 0, worker.complaints()
            assert list(worker.workspace.iterdir()) == []
            assert worker.family() == []


def test_what_workers_keep_is_what_the_cache_levels_say(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"]) as site:
        worker = site.workers["w0"]
        # given: a client whose task takes a file of each level
        files = {level: os.urandom(100_000) for level in ("task", "workflow", "worker")}
        with site.client() as first:
            task = vine.Task("cat task workflow worker | wc -c")
            for level, data in files.items():
                task.add_input(first.declare_buffer(data, cache=level), level)
            # when
            done(first, task)
            # then: while the client lives, all but the first are kept
            assert int(task.std_output) == 300_000
            until(lambda: _kept(worker.objects, files) == {"workflow", "worker"}, "the level `task` is dropped")
            moved = first.stats.bytes_from_manager
            assert moved in (0, 300_000)  # The figures of the last second.
        # then: when its run is over, only the last is kept
        until(lambda: _kept(worker.objects, files) == {"worker"}, "the level `workflow` is dropped")
        until(lambda: site.status()["bytes_from_manager"] == 300_000, "the transfers are told")
        # and serves the next client without a transfer
        with site.client() as second:
            again = vine.Task("cat worker | wc -c")
            again.add_input(second.declare_buffer(files["worker"], cache="worker"), "worker")
            done(second, again)
            assert int(again.std_output) == 100_000
        assert site.status()["bytes_from_manager"] == 300_000
        # and when the manager ends, nothing is
        site.end()
        worker.wait()
        assert list(worker.workspace.iterdir()) == []


def _kept(objects: dict[str, Path], files: dict[str, bytes]) -> set[str]:
    try:
        contents = [path.read_bytes() for path in objects.values() if path.is_file()]
    except FileNotFoundError:
        return set()  # One was dropped at this moment: the next look tells.
    return {level for level, data in files.items() if data in contents}


def test_a_factory_that_is_killed_is_started_again_and_takes_over_its_workers(tmp_path: Path) -> None:
    sizes = {"workers": 2, "cores": 1, "memory": 500, "disk": 500, "workspace": tmp_path / "workspace"}
    with vine.Executor(run_info_path=tmp_path / "runs", **sizes) as executor:
        # Given a fleet that works
        manager, notes, go = executor.manager, tmp_path / "notes", tmp_path / "go"
        manager.wait_for_workers(2, GIVE_UP_S)
        future = executor.submit(bodies.note_and_wait, str(notes), str(go))
        until(lambda: lines_of(notes), "the call runs")
        # When its factory is killed
        with at_the_end(go), pytest.warns(errors.FactoryWarning, match="was started again, its workers go on: see "):
            [factory] = children_of(psutil.Process(), "vine_factory.main")
            workers = children_of(factory, "vine_worker.main")
            factory.kill()
            until(lambda: _starts(executor) == 2 and _factory_of(manager).get("running") == 2, "another one knows them")
        # Then the same workers work on
        future.result(GIVE_UP_S)
        assert len(lines_of(notes)) == 1
        [following] = children_of(psutil.Process(), "vine_factory.main")
        assert not children_of(following, "vine_worker.main")
        assert [bool(command_of(each)) for each in workers] == [True, True]
    assert [bool(command_of(each)) for each in workers] == [False, False]


def _starts(executor: vine.Executor) -> int:
    """How often its factory has said that it was admitted."""
    [log] = executor.manager.run_directory.glob("factory-*.log")
    return log.read_text().count("admitted to run")


def _factory_of(manager: vine.Manager) -> dict[str, Any]:
    """What the manager tells of its one factory that lives."""
    with open_run(manager.run_directory) as run:
        heard = run.snapshot()
    found: list[dict[str, Any]] = [] if heard is None else heard[1]["factories"]
    return found[0] if len(found) == 1 else {}
