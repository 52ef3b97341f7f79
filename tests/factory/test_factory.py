"""Does the factory process keep the fleet that its manager asks for, and leave nothing behind?

With the real process, sockets and keys; workers are stand-ins that do nothing, so that a test takes
no longer than an interpreter's start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from vine import config
from vine.errors import ExitCode
from vine.names import PeerKey, RunId, WorkerId
from vine.wire.hub import Hub
from vine.wire.keys import FILE_NAMES, new_run_keys, write_run_files
from vine.wire.messages import EndFactory, FactoryHello, FactoryStatus, FactoryWelcome, FleetDemand, Message, Refused
from vine.wire.parts import Request, Resources, Role, WorkDemand
from vine.wire.sockets import Gate, make_context

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.live
M = TypeVar("M", bound=Message)

# It says in its workspace who it is, then waits for the end of its parent or for its own.
IDLE_WORKER = """
import os, pathlib, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
pathlib.Path(options["--workspace"], options["--worker-id"]).write_text(f"{os.getpid()} {sys.argv}")
os.read(int(options["--parent-fd"]), 1)
"""
FAILING_WORKER = "import sys; sys.exit('vine-worker: the disk is full')"


class Run:
    """A manager's end of the wire, and the one factory that it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.run_dir = folder / "run"
        self._closing = ExitStack()
        context = self._closing.enter_context(make_context())
        keys = new_run_keys()
        self._closing.callback(Gate(context, keys).close)
        self.hub = Hub(context, keys, "127.0.0.1", 0, time.monotonic())
        self._closing.callback(self.hub.close)
        self.connection = write_run_files(keys, self.run_dir, RunId("run"), f"tcp://127.0.0.1:{self.hub.port}")
        self.read_end, self.write_end = os.pipe()
        self.peer: PeerKey | None = None
        self._heard: list[Message] = []

    def start(self, *options: str, worker: str = IDLE_WORKER) -> subprocess.Popen[str]:
        stand_in = self.folder / "stand-in" / "vine_worker"
        stand_in.mkdir(parents=True)
        (stand_in / "__init__.py").touch()
        (stand_in / "main.py").write_text(worker)
        path = os.pathsep.join(map(str, (stand_in.parent, ROOT, ROOT / "factory")))
        arguments = ["--connection", str(self.connection), "--workspace", str(self.workspace)]
        self.factory = self._closing.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "vine_factory.main", *arguments, "--parent-fd", str(self.read_end), *options],
                env={**os.environ, "PYTHONPATH": path},
                cwd=self.folder,
                pass_fds=(self.read_end,),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        self._closing.callback(self.factory.kill)
        return self.factory

    def hear(self, kind: type[M], wanted: Callable[[M], bool] = lambda message: True) -> M:
        """The next message of the kind that is as wanted; what comes before it is dropped."""
        while True:
            while self._heard:
                message = self._heard.pop(0)
                if isinstance(message, kind) and wanted(message):
                    return message
            assert self.factory.poll() is None, f"the factory has ended: {self.factory.communicate()[1]}"
            self.hub.socket.poll(100)
            for peer, role, messages in self.hub.receive(time.monotonic()):
                assert role is Role.FACTORY
                self.peer = peer
                self._heard += messages
            self.hub.flush(time.monotonic())

    def say(self, message: Message) -> None:
        assert self.peer is not None
        self.hub.send(self.peer, message)
        self.hub.flush(time.monotonic())

    def welcome(self) -> FactoryHello:
        hello = self.hear(FactoryHello)
        self.say(FactoryWelcome(RunId("run"), 1))
        return hello

    def demand(self, tasks: int, connected: tuple[str, ...] = (), idle: tuple[str, ...] = ()) -> None:
        ids = (tuple(map(WorkerId, connected)), tuple(map(WorkerId, idle)))
        self.say(FleetDemand((WorkDemand(Request(cores=1), tasks),), (), *ids))

    def workers(self, number: int) -> dict[str, tuple[int, str]]:
        """The process and arguments of each worker, once so many have started."""
        while True:
            found = {path.name: path.read_text().split(" ", 1) for path in self.workspace.iterdir()}
            if len(found) == number and all(len(parts) == 2 for parts in found.values()):
                return {name: (int(pid), arguments) for name, (pid, arguments) in found.items()}
            self.hub.socket.poll(10)

    def said(self, words: str) -> str:
        """The line of its log with these words, which it writes sooner or later."""
        assert self.factory.stderr is not None
        return next(line for line in self.factory.stderr if words in line)

    def end(self) -> str:
        """What the factory wrote, after its end within the time that a client gives it."""
        _, stderr = self.factory.communicate(timeout=config.run_end_s)
        for path in self.workspace.iterdir():
            with pytest.raises(ProcessLookupError):
                os.kill(int(path.read_text().split(" ")[0]), 0)
        return stderr

    def close(self) -> None:
        self._closing.close()
        os.close(self.read_end)
        if self.write_end >= 0:
            os.close(self.write_end)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.close()


def test_the_minimum_starts_unasked_with_the_size_that_was_asked_for(run: Run) -> None:
    run.start("--min-workers", "2", "--max-workers", "3", "--cores", "1", "--memory", "500", "--disk", "70")
    hello = run.welcome()
    assert (hello.min_workers, hello.max_workers, hello.batch_type) == (2, 3, "local")
    assert hello.capacity == Resources(cores=1, memory_mb=500, disk_mb=70, gpus=0)
    workers = run.workers(2)
    assert set(workers) == {"local-1-1", "local-1-2"}
    for _, arguments in workers.values():
        assert "'--cores', '1', '--memory', '500', '--disk', '70', '--gpus', '0'" in arguments
        assert f"'--connection', '{run.connection}'" in arguments


def test_the_features_of_its_workers_are_told_to_them_and_to_the_manager(run: Run) -> None:
    run.start("--min-workers", "1", "--feature", "a100", "--feature", "NVIDIA RTX A2000")
    assert run.welcome().features == ("a100", "NVIDIA RTX A2000")
    [(_, arguments)] = run.workers(1).values()
    assert "'--feature', 'a100', '--feature', 'NVIDIA RTX A2000'" in arguments


def test_the_fleet_grows_with_the_work_and_ends_with_the_run(run: Run) -> None:
    factory = run.start("--max-workers", "2", "--cores", "1")
    run.welcome()
    run.demand(5)
    run.hear(FactoryStatus, lambda status: status.pending + status.starting == 2)
    run.workers(2)
    run.say(EndFactory("the run is over"))
    assert "ending: the run is over" in run.end()
    assert factory.returncode == ExitCode.OK


def test_connected_workers_are_told_as_running_and_idle_ones_are_drained(run: Run) -> None:
    run.start("--max-workers", "2", "--cores", "1", "--idle-timeout", "0")
    run.welcome()
    run.demand(2)
    first, second = sorted(run.workers(2))
    run.demand(1, connected=(first, second), idle=(second,))
    status = run.hear(FactoryStatus, lambda status: status.running == 1)
    assert (status.starting, status.draining) == (0, (second,))
    run.say(EndFactory("the run is over"))
    assert f"{second} gets no more tasks" in run.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_factory_and_its_workers(run: Run, number: signal.Signals) -> None:
    factory = run.start("--min-workers", "1")
    run.workers(1)
    factory.send_signal(number)
    assert f"it was told to by {number.name}" in run.end()
    assert factory.returncode == ExitCode.OK


def test_a_factory_that_was_started_with_nohup_outlives_its_terminal(run: Run) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        factory = run.start("--min-workers", "1")
    finally:
        signal.signal(signal.SIGHUP, before)
    run.workers(1)
    factory.send_signal(signal.SIGHUP)
    factory.send_signal(signal.SIGTERM)
    assert "it was told to by SIGTERM" in run.end()


def test_the_end_of_the_client_ends_the_factory_and_its_workers(run: Run) -> None:
    factory = run.start("--min-workers", "1")
    run.workers(1)
    os.close(run.write_end)  # As the kernel does it when the client dies.
    run.write_end = -1
    assert "the program that started it is gone" in run.end()
    assert factory.returncode == ExitCode.OK


def test_a_worker_that_dies_young_is_told_to_the_manager_in_its_own_words(run: Run) -> None:
    run.start("--min-workers", "1", worker=FAILING_WORKER)
    run.welcome()
    status = run.hear(FactoryStatus, lambda status: bool(status.message))
    assert "ended with exit code 1: vine-worker: the disk is full (log: " in status.message
    assert (status.starting, status.running) == (0, 0)


def test_a_worker_that_is_killed_is_replaced(run: Run) -> None:
    run.start("--min-workers", "1")
    run.welcome()
    [(_, (pid, _arguments))] = run.workers(1).items()
    os.kill(pid, signal.SIGKILL)
    assert "SIGKILL" in run.hear(FactoryStatus, lambda status: bool(status.message)).message
    assert "local-1-2" in run.workers(2)


def test_a_manager_that_refuses_ends_the_factory_with_its_reason(run: Run) -> None:
    factory = run.start()
    run.hear(FactoryHello)
    run.say(Refused("another factory is at work"))
    assert run.end().splitlines()[-1].endswith("refused us: another factory is at work")
    assert factory.returncode == ExitCode.REFUSED


def test_keys_of_another_run_are_refused_in_one_line(run: Run) -> None:
    write_run_files(new_run_keys(), run.run_dir, RunId("other"), f"tcp://127.0.0.1:{run.hub.port}")
    factory = run.start()
    assert "refused the connection" in run.end().splitlines()[-1]
    assert factory.returncode == ExitCode.REFUSED


def test_a_missing_connection_file_is_told_in_one_line(run: Run) -> None:
    (run.run_dir / FILE_NAMES[Role.FACTORY]).unlink()
    factory = run.start("--min-workers", "1")
    [line] = run.end().splitlines()
    assert line.startswith("vine-factory: ") and FILE_NAMES[Role.FACTORY] in line
    assert factory.returncode == ExitCode.USAGE


def test_workers_that_cannot_be_launched_are_told_to_the_manager(run: Run) -> None:
    (run.run_dir / "logs").write_text("a file where the folder should be")
    run.start("--min-workers", "1")
    run.welcome()
    status = run.hear(FactoryStatus, lambda status: bool(status.message))
    assert "cannot start worker" in status.message


def test_a_manager_that_does_not_know_us_any_more_is_told_everything_again(run: Run) -> None:
    run.start("--min-workers", "1")
    hello = run.welcome()
    run.hear(FactoryStatus, lambda status: status.pending + status.starting == 1)
    assert run.peer is not None
    run.hub.forget(run.peer)
    assert run.welcome() == hello
    status = run.hear(FactoryStatus)
    assert status.pending + status.starting == 1


def test_it_says_when_it_has_been_admitted_and_not_before(run: Run) -> None:
    factory = run.start("--name", "mine")
    assert run.welcome().factory_id == "mine"
    run.hear(FactoryStatus)
    assert factory.stdout is not None and factory.stdout.readline() == "ready mine\n"


def test_a_second_factory_of_its_name_is_refused(run: Run) -> None:
    run.start("--name", "mine")
    run.welcome()
    second = subprocess.run(
        [sys.executable, "-m", "vine_factory.main", "--connection", str(run.connection), "--name", "mine"],
        capture_output=True,
        text=True,
    )
    assert second.returncode == ExitCode.USAGE
    [line] = second.stderr.splitlines()
    assert "another factory called 'mine' is at work on this run" in line


def test_its_file_is_read_again_while_it_runs_and_a_bad_edit_changes_nothing(run: Run) -> None:
    options = run.folder / "options.json"
    options.write_text('{"max-workers": 1, "cores": 1}')
    run.start("--config", str(options))
    assert run.welcome().max_workers == 1
    run.demand(5)
    run.hear(FactoryStatus, lambda status: status.pending + status.starting == 1)
    options.write_text('{"max-workers": "many"}')
    assert run.said("the options stay as they were")
    options.write_text('{"max-workers": 3}')
    assert run.hear(FactoryHello).max_workers == 3
    run.hear(FactoryStatus, lambda status: status.pending + status.starting == 3)
