"""How do the live tests start the real programs, and make sure that they are gone?"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

import vine
from tests.waiting import GIVE_UP_S
from vine.content.space import OBJECT_ID

MARK = "VINE_LIVE_TEST"  # A variable by which all that a program started is known.
ROOT = Path(__file__).resolve().parents[2]
SOURCES = os.pathsep.join(str(ROOT / folder) for folder in ("", "workers", "factory"))

# The limits that make a run notice things sooner, and no node late for sharing the processors with all the others;
# everything else is as users have it.
LIMITS = ("statistics_interval_s=0.1", "worker_lost_after_s=4", "no_fit_grace_s=0.5", "source_patience=20")

_MODULES = {
    "vine-manager": "vine.manager.main",
    "vine-worker": "vine_worker.main",
    "vine-factory": "vine_factory.main",
    "vine-status": "vine.views.status",
}


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def command(name: str, *arguments: object, python: str | Path = sys.executable) -> list[str]:
    """A command of ours, as its console script would run it."""
    return [str(python), "-m", _MODULES[name], *map(str, arguments)]


def variables(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCES, **extra}


def run(name: str, *arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command that is to end by itself."""
    return subprocess.run(
        command(name, *arguments), capture_output=True, text=True, timeout=GIVE_UP_S, cwd=folder, env=variables()
    )


@contextmanager
def at_the_end(go: Path) -> Iterator[None]:
    """Tasks that wait for the file end in any case: an executor waits for them."""
    try:
        yield
    finally:
        go.touch()


def one_line_error(ended: subprocess.CompletedProcess[str], name: str) -> str:
    """What a command complained about: one line that names it, and no traceback of ours."""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith(f"{name}: "), lines[0]
    return lines[0]


def check_message(error: BaseException | None, kind: type[BaseException], *parts: str) -> str:
    """An error as users should meet it: typed, in one line, naming what is meant."""
    assert type(error) is kind, repr(error)
    message = str(error)
    assert "\n" not in message, message
    assert "Traceback" not in message, message
    for part in parts:
        assert part in message, f"{part!r} is not in: {message}"
    return message


class Program:
    """A started process, and all that it has started."""

    def __init__(self, arguments: Sequence[str], log: Path, folder: Path | None = None, lifeline: int = -1) -> None:
        self.mark = secrets.token_hex(8)
        self.log = log
        passed = () if lifeline < 0 else (lifeline,)
        ours = () if lifeline < 0 else ("--parent-fd", str(lifeline))
        with log.open("wb") as complaints:
            self.process = subprocess.Popen(
                [*arguments, *ours],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                pass_fds=passed,
                cwd=folder,
                env=variables(**{MARK: self.mark}),
                start_new_session=True,
            )
        self.pid = self.process.pid

    def line(self) -> str:
        """The next line that it prints; "" if it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def complaints(self) -> str:
        return self.log.read_text()

    def wait(self, timeout_s: float = GIVE_UP_S) -> int:
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def family(self) -> list[str]:
        """The command lines of all that lives of it and of what it started."""
        return family(self.mark)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        for process in _marked(self.mark):
            process.kill()


def family(mark: str) -> list[str]:
    commands = ((process.pid, command_of(process)) for process in _marked(mark))
    return [f"{pid} {command}" for pid, command in commands if command]


def command_of(process: psutil.Process) -> str:
    """Nothing, if it has ended, whether or not its parent has noticed."""
    try:
        return " ".join(process.cmdline()) if process.is_running() else ""
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def children_of(process: psutil.Process, module: str = "") -> list[psutil.Process]:
    """Those that run what is named. A zombie does not: it has ended, and its parent has not looked yet."""
    commands = [(child, command_of(child)) for child in process.children()]
    return [child for child, command in commands if command and module in command]


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


class Worker(Program):
    """A `vine-worker` with a workspace of its own, which counts as a host of its own."""

    def __init__(self, site: Site, name: str, *options: object, python: str | Path = sys.executable) -> None:
        self.name = name
        self.workspace = site.folder / f"workspace-{name}"
        arguments = [
            "--connection", site.connection, "--worker-id", name, "--host-name", f"host-{name}", "--feature", name,
            "--workspace", self.workspace, "--cores", 1, "--memory", 1000, "--disk", 2000, *options,
        ]  # fmt: skip
        super().__init__(
            command("vine-worker", *arguments, python=python), site.folder / f"{name}.err", lifeline=site.lifeline
        )

    @property
    def home(self) -> Path:
        return self.workspace / f"vine-worker-{self.name}"

    @property
    def objects(self) -> dict[str, Path]:
        """What its store holds."""
        return objects_in(self.workspace)

    def all_bytes(self) -> Iterator[tuple[Path, bytes]]:
        """Every file below the workspace. Files come and go meanwhile."""
        for path in self.workspace.rglob("*"):
            try:
                if path.is_file() and not path.is_symlink():
                    yield path, path.read_bytes()
            except FileNotFoundError:
                continue


def objects_in(workspace: Path) -> dict[str, Path]:
    """What the stores in a workspace hold."""
    return {path.name: path for path in workspace.glob("vine-store-*/objects/**/*") if OBJECT_ID.fullmatch(path.name)}


class Site:
    """A `vine-manager` that was started by its command, and workers of it."""

    def __init__(self, folder: Path, *options: object, limits: Sequence[str] = LIMITS) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self.lifeline, self._lifeline_end = os.pipe()
        self.workers: dict[str, Worker] = {}
        sets = [part for limit in limits for part in ("--set", limit)]
        arguments = command("vine-manager", "--run-dir", self.run_dir, *sets, *options)
        self.manager = Program(arguments, folder / "manager.err", lifeline=self.lifeline)
        ready = self.manager.line()
        assert ready == f"ready {self.run_dir}/connection.json", ready + self.manager.complaints()
        self.connection = self.run_dir / "connection.json"

    def worker(self, name: str, *options: object, python: str | Path = sys.executable) -> Worker:
        self.workers[name] = worker = Worker(self, name, *options, python=python)
        return worker

    def client(self) -> vine.Manager:
        return vine.Manager(connection=self.connection)

    def status(self) -> dict[str, Any]:
        return status(self.run_dir)

    def end(self) -> None:
        """As its user would end it."""
        self.manager.send(signal.SIGTERM)
        self.manager.wait()

    def close(self) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.send(signal.SIGCONT)  # One that a test has stopped could not end.
        os.close(self._lifeline_end)
        for program in (self.manager, *self.workers.values()):
            with suppress(subprocess.TimeoutExpired):
                program.wait(15)
            program.close()
        os.close(self.lifeline)


@contextmanager
def a_site(
    folder: Path, workers: int | Sequence[str] = 0, *options: object, limits: Sequence[str] = LIMITS
) -> Iterator[Site]:
    """A run with workers `w0`, `w1`, ... (or those named), all of them connected."""
    folder.mkdir(exist_ok=True)
    site = Site(folder, limits=limits)
    try:
        names = [f"w{number}" for number in range(workers)] if isinstance(workers, int) else workers
        for name in names:
            site.worker(name, *options)
        if names:
            with site.client() as client:
                client.wait_for_workers(len(names), GIVE_UP_S)
        yield site
    finally:
        site.close()


def status(run_dir: Path) -> dict[str, Any]:
    """What `vine-status --json` says."""
    ended = run("vine-status", run_dir, "--json")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def done(manager: vine.Manager, *tasks: vine.Task) -> list[vine.Task]:
    """Submits the tasks and returns them when they have ended."""
    for task in tasks:
        manager.submit(task)
    for _ in tasks:
        assert manager.wait(GIVE_UP_S) is not None, "a task did not end"
    return list(tasks)


def on(worker: str, task: vine.Task) -> vine.Task:
    """The task, to run on this worker only."""
    task.add_feature(worker)
    return task


def the_error(task: vine.Task) -> BaseException:
    assert task.error is not None, f"{task!r} ended as {task.result}"
    return task.error
