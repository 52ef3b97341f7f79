from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.manager import runs
from tests.manager.runs import Manager, Player
from vine.manager.loop import Loop
from vine.manager.main import main
from vine.views.reading import open_run
from vine.wire import messages as m
from vine.wire.keys import load_connection
from vine.wire.parts import Role
from vine.wire.sockets import Context
from vine.wire.worker_messages import EndWorker, WorkerBye, WorkerWelcome

pytestmark = pytest.mark.live


@pytest.fixture
def context() -> Iterator[Context]:
    with runs.a_context() as context:
        yield context


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with runs.manager(tmp_path / "run") as manager:
        yield manager


@pytest.fixture
def client(context: Context, manager: Manager) -> Iterator[Player]:
    player = runs.client(context, manager.run_dir)
    player.hear(m.ClientWelcome)
    yield player
    player.close()


@pytest.fixture
def worker(context: Context, manager: Manager) -> Iterator[Player]:
    player = runs.worker(context, manager.run_dir)
    player.hear(WorkerWelcome)
    yield player
    player.close()


def test_it_says_ready_with_the_path_that_workers_connect_by(manager: Manager) -> None:
    assert manager.ready == f"ready {manager.run_dir}/connection.json\n"
    assert load_connection(manager.run_dir, Role.CLIENT).run_dir == manager.run_dir


def test_the_run_s_directory_is_closed_to_others(manager: Manager) -> None:
    assert stat.S_IMODE(manager.run_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((manager.run_dir / "staging").stat().st_mode) == 0o700
    keys = [path for path in manager.run_dir.iterdir() if path.suffix == ".json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert len(keys) == 4


def test_the_manager_imports_no_pickle_of_others() -> None:
    # The manager never unpickles: nothing of its own rooms or below names a loader.
    import vine.manager.run  # noqa: F401 - so that all of it is loaded

    loaded = [module for name, module in sys.modules.items() if name.startswith("vine.") and module is not None]
    rooms = ("vine.manager", "vine.scheduler", "vine.transfer", "vine.wire", "vine.content")
    ours = [module for module in loaded if module.__name__.startswith(rooms)]
    assert ours
    assert not [module.__name__ for module in ours if hasattr(module, "pickle") or hasattr(module, "dill")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_run_in_order(manager: Manager, worker: Player, number: signal.Signals) -> None:
    manager.process.send_signal(number)
    assert worker.hear(EndWorker).reason == f"the manager got {number.name}"
    worker.say(WorkerBye("told to end"))
    assert manager.end() == (0, "")


def test_who_waits_for_the_ready_line_no_more_need_not_be_served(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "vine.manager.main", "--run-dir", str(tmp_path / "run")]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=runs.GIVE_UP_S)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_mistake_of_ours_ends_it_with_its_traceback_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(loop: Loop) -> str:
        raise AssertionError("two tables disagree")

    monkeypatch.setattr(Loop, "run", fails)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    with pytest.raises(AssertionError):
        main(["--run-dir", str(tmp_path / "run")])
    assert "two tables disagree" in (tmp_path / "run" / "manager.log").read_text()
    with open_run(tmp_path / "run") as run:
        assert "end_reason" not in run.facts(), "another manager may go on"


def test_it_may_open_as_many_files_as_the_system_lets_it(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with runs.manager(tmp_path / "run") as manager:
            limits = Path(f"/proc/{manager.process.pid}/limits").read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert line.split()[3] == line.split()[4]
