"""How does a program declare files, submit tasks and get them back: the manager as its users hold it."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import msgspec

from vine import config, errors
from vine.client import launch
from vine.client.backlog import Backlog
from vine.client.calls import Calls
from vine.client.environments import Declarable, Environments
from vine.client.files import Declarer, File, Stager
from vine.client.libraries import Libraries
from vine.client.policies import Policies
from vine.client.session import Session
from vine.client.tasks import Task
from vine.host import host_id
from vine.names import FileId, HostId, TaskId
from vine.wire.keys import load_connection
from vine.wire.messages import ForgetFiles, PruneFiles, ReplicateFile, RunState
from vine.wire.parts import Role


class Manager(Policies, Libraries, Environments):
    """A run: files that are declared, tasks that are submitted, and workers that come and go.

    Starts a manager process that ends with this one, unless `connection` names the connection file (or run
    directory) of a running manager. Tasks make progress whether or not anybody is in `wait()`.
    """

    def __init__(
        self,
        port: int = 0,
        name: str | None = None,
        host: str = "127.0.0.1",
        run_info_path: str | os.PathLike[str] = "vine-run-info",
        connection: str | os.PathLike[str] | None = None,
        enforce_resources: bool = True,
        environment: Declarable | None = None,
    ) -> None:
        """With `enforce_resources`, tasks that use more memory or disk than they have asked for are killed.

        Tasks that name no environment run on this one: a declared file, or what `declare_environment` takes.
        """
        self.name = name
        self.enforce_resources = enforce_resources
        self._lifeline = launch.Lifeline()
        self._program: launch.Program | None = None
        self._programs: list[launch.Program] = []
        self._closing = threading.Lock()
        self._closed = False
        self._process_id = os.getpid()
        self._before_close: list[Callable[[], None]] = []
        self._backlog = Backlog()
        self._categories = {}
        self._libraries = {}
        try:
            if connection is None:
                self._program, path = launch.start_manager(self._lifeline, os.fspath(run_info_path), host, port, name)
                self._programs.append(self._program)
            else:
                path = os.fspath(connection)
            self._connect(path)
        except BaseException:
            self._end_programs(0)
            raise
        _managers.add(self)
        try:
            self._default_environment = self.environment_or_default(environment)
        except BaseException:
            self.close()
            raise

    def _connect(self, path: str) -> None:
        connection = load_connection(Path(path), Role.CLIENT)
        self.run_directory = Path(connection.run_dir)
        self.connection_file = self.run_directory / "connection.json"
        self.port = int(connection.endpoint.rpartition(":")[2])
        self._session = Session(connection, _host_id_of(self.run_directory))
        if self._program is not None:
            self._program.watch(self._on_exit)
        try:
            welcome = self._session.open()
            if not welcome.same_host:
                raise errors.ConnectionRefused(
                    f"the manager's run directory {welcome.run_dir} is not on this host: "
                    "run this program on the manager's host, and workers anywhere"
                )
        except BaseException:
            self._session.close()
            raise
        self._stager = Stager(self._session, welcome.staging_dir)
        self._declarer = Declarer(self._session, self._stager)
        self._calls = Calls(self._session, self._declarer)

    # --- files ---

    def declare_file(
        self, path: str | os.PathLike[str], cache: str | bool = "workflow", peer_transfer: bool = True
    ) -> File:
        """A file or directory here, as an input; or where to bring an output.

        `cache` says how long workers keep it: for the "task", the "workflow", as long as the "worker" lives, or
        "forever", in its workspace, for the workers that start there in later runs.
        """
        return self._declarer.path(path, cache, peer_transfer)

    def declare_buffer(
        self, data: bytes | str | None = None, cache: str | bool = "workflow", peer_transfer: bool = True
    ) -> File:
        """These bytes as a file; None for an output whose `contents()` are read afterwards."""
        if data is None:
            return self._declarer.temp(cache, peer_transfer)
        if isinstance(data, int):  # bytes() would make so many zeros of it.
            raise errors.UsageError(f"{data!r} is no content for a file: give bytes or text")
        raw = data.encode() if isinstance(data, str) else bytes(data)
        return self._declarer.buffer(raw, cache=cache, peer_transfer=peer_transfer)

    def declare_url(self, url: str, cache: str | bool = "workflow", peer_transfer: bool = True) -> File:
        """What an http, https or file URL leads to: one worker downloads it, the others get it from there.

        Nothing is downloaded before a task, or `fetch_file`, needs it; then it is what the URL leads to in this run,
        under however many declarations, while workers have a copy. A user and password in the URL are sent as Basic
        authorisation to its host only, and shown nowhere. UsageError for any other scheme.
        """
        return self._declarer.url(url, cache, peer_transfer)

    def declare_temp(self, cache: str | bool = "workflow", peer_transfer: bool = True) -> File:
        """An output that stays on workers, to be other tasks' input."""
        return self._declarer.temp(cache, peer_transfer)

    def declare_untar(self, archive: File, cache: str | bool = "workflow", peer_transfer: bool = True) -> File:
        """The directory that an archive unpacks to, on each worker that needs it."""
        return self._declarer.untar(archive, cache, peer_transfer)

    def fetch_file(self, file: File, timeout: float | None = None) -> bytes:
        """The content of a file, brought from a worker if need be."""
        self.check_own(file)
        data: bytes = file.contents(timeout=timeout)
        return data

    def broadcast(self, file: File, workers: str | int | Iterable[str] = "all") -> Future[int]:
        """Bring a file to workers before any task needs it there; archives and environments are unpacked, too.

        To "all" workers: those that are connected, and each that joins while the file is declared. Or to a number
        of them, on different hosts as far as there are, which waits for more to join if need be. Or to those with
        the ids in a list, of which those that are not connected are passed over.

        The future resolves to the number of workers that have the file, as soon as all do: for "all", those that
        are connected by then, of which there must be one. A worker that is lost meanwhile, or has no room on its
        disk, is not waited for. Copies go for room like those that a task has left; `replicate` keeps some.
        A file that a task is to make is waited for until some task has made it, be it submitted later.
        Cancelling the future ends the waiting only; `prune_file` and `undeclare_file` end the broadcast.

        It fails with `FileMissing` (the file cannot be read, is not there, or was undeclared), `FileChanged`,
        `DependencyFailed` (the task that makes it did not succeed), `DiskFull` (no worker has room for it),
        `BroadcastFailed` (none of the workers is connected, or no source could deliver it), or `ManagerLost`.
        UsageError is raised at once for a file of another manager, or `workers` that name nobody.
        """
        self.check_own(file)
        return self._session.broadcast(file.file_id, workers)

    def replicate(self, file: File, copies: int) -> None:
        """Keep so many copies of a temp, or of any file, on workers: each on a host of its own, not given up for room.

        They are made when the file is, and again when one is lost: so the loss of a worker does not make the task
        run again that made the file. Where there are fewer hosts than copies, each has one, and those that join get
        theirs. 1 undoes it: further copies go when their room is needed. Returns at once.
        UsageError is raised for a file of another manager, or a number of copies below 1.
        """
        self.check_own(file)
        if isinstance(copies, bool) or not isinstance(copies, int) or not 1 <= copies <= config.workers_max:
            raise errors.UsageError(f"copies={copies!r} is no number of copies: give 1 or more")
        self._session.say(ReplicateFile(file.file_id, copies))

    def prune_file(self, file: File) -> None:
        """Drop its copies on workers, but for those that tasks need; it stays declared, and tasks may use it.

        Ends its broadcasts and the keeping of several copies. A temp that is pruned is made again for a later task
        that takes it.
        """
        self.check_own(file)
        self._session.say(PruneFiles((file.file_id,)))

    def undeclare_file(self, file: File) -> None:
        """No task submitted from now on will use it: its copies may go when nothing needs them."""
        self.check_own(file)
        self._session.say(ForgetFiles((file.file_id,)))

    # --- tasks ---

    def submit(self, task: Task) -> TaskId:
        """Have the task run; `wait` returns it when it has ended."""
        self._session.check()
        if not isinstance(task, Task):
            raise errors.UsageError(
                f"{task!r} is no task: give a vine.Task(command), or a vine.PythonTask(function, ...)"
            )
        task_id = self._session.number_task()
        spec = task.submitted(self, task_id)
        self._backlog.add(task_id, task)
        try:
            self._session.expect(task_id, task)
            self._calls.submit(spec, task.links)
            task.links = None  # It may hold large memory of the user's.
        except BaseException:  # Such as a Ctrl-C while it waits: `wait` must not wait for it.
            self._session.claim(task_id)
            self._backlog.drop(task_id)
            raise
        return task_id

    def wait(self, timeout: float | None = None) -> Task | None:
        """The next task that has ended; None when the time is up, or no task is left."""
        return self._awaited(lambda: self._backlog.take(timeout))

    def wait_for_tag(self, tag: str, timeout: float | None = None) -> Task | None:
        """As `wait`, for a task with this tag; None at once if no such task is left."""
        return self._awaited(lambda: self._backlog.take_tagged(tag, timeout))

    def wait_for_task_id(self, task_id: TaskId, timeout: float | None = None) -> Task | None:
        """As `wait`, for this task; None at once if it has been returned already."""
        return self._awaited(lambda: self._backlog.take_one(task_id, timeout))

    def _awaited(self, take: Callable[[], Task | None]) -> Task | None:
        if self._backlog.empty:
            return None
        if self._process_id != os.getpid():
            self._session.check()  # Of a forked child's parent: nothing will come here.
        task = take()
        if task is None and not self._backlog.empty:
            self._session.check()  # Whoever waits in vain hears why.
        return task

    def empty(self) -> bool:
        """Whether every submitted task has been returned by `wait`."""
        return self._backlog.empty

    def cancel_by_task_id(self, task_id: TaskId) -> bool:
        """Stop a task; it comes back through `wait` with the result 'cancelled', or what came first."""
        if not self._session.is_open(task_id):
            return False
        self._session.cancel_task(task_id)
        return True

    def cancel_all(self) -> int:
        """Stop all of this manager's tasks that have not ended; how many there were."""
        return self._cancel(self._backlog.ids())

    def cancel_by_task_tag(self, tag: str) -> bool:
        """Stop one task with this tag, the one that was submitted first of those that have not ended."""
        return any(self.cancel_by_task_id(task_id) for task_id in self._backlog.ids(tag))

    def cancel_all_by_tag(self, tag: str) -> int:
        """Stop all tasks with this tag that have not ended; how many there were."""
        return self._cancel(self._backlog.ids(tag))

    def cancel_by_category(self, category: str) -> int:
        """Stop all tasks of this category that have not ended; how many there were."""
        return self._cancel([task_id for task_id, task in self._backlog.tasks() if task.category == category])

    def _cancel(self, task_ids: list[TaskId]) -> int:
        return sum(self.cancel_by_task_id(task_id) for task_id in task_ids)

    # --- the run ---

    def wait_for_workers(self, count: int, timeout: float | None = None) -> None:
        """Return when so many workers are connected; TimeoutError otherwise."""
        if not self._session.await_news(lambda: self._session.state.workers >= count, timeout):
            raise TimeoutError(
                f"{self._session.state.workers} of {count} workers are connected after {timeout:g} s: "
                f"start them with `vine-worker --connection {self.connection_file}`, or look at their logs"
            )

    @property
    def stats(self) -> RunState:
        """How the run stood a moment ago: workers, cores, tasks by state, bytes from manager and peers."""
        return self._session.state

    def status(self) -> dict[str, Any]:
        """`stats` and where the run lies, as plain data."""
        plain: dict[str, Any] = msgspec.structs.asdict(self._session.state)
        return {**plain, "run_directory": str(self.run_directory), "port": self.port, "name": self.name}

    def close(self) -> None:
        """Leave the run: what has not ended is cancelled. A manager that was started here ends, with its workers."""
        with self._closing:
            if self.closed:
                return
            self._closed = True
        _managers.discard(self)
        for end in self._before_close:
            end()
        self._stager.close()
        self._session.close()
        self._backlog.over()
        self._end_programs(config.run_end_s)

    def __enter__(self) -> Manager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vine.Manager stays in its program: tasks cannot submit tasks")

    # --- for tasks and executors ---

    @property
    def closed(self) -> bool:
        """Whether it has been closed, or is another process's."""
        return self._closed or self._process_id != os.getpid()

    @property
    def session(self) -> Session:
        return self._session

    @property
    def calls(self) -> Calls:
        return self._calls

    @property
    def lifeline(self) -> launch.Lifeline:
        return self._lifeline

    def task_of(self, future: Future[Any]) -> TaskId | None:
        return self._calls.task_of(future)

    def declare_function(self, function: Callable[..., Any]) -> FileId:
        return self._calls.function(function).file_id

    def task_ended(self, task: Task) -> None:
        assert task.id is not None
        self._session.forget_result(task.id)  # Only futures can be passed on.
        self._backlog.ended(task)

    def task_broken(self, task: Task) -> None:
        self._backlog.over()

    def adopt(self, program: launch.Program, before_close: Callable[[], None]) -> None:
        """A program that ends with the run; `before_close` is called before that."""
        self._programs.append(program)
        self._before_close.append(before_close)

    def _on_exit(self) -> None:
        assert self._program is not None
        if not self._closed:
            self._session.fail(errors.ManagerLost(f"the manager has ended ({self._program.last_words()})"))
            self._lifeline.cut()  # Without it factory and workers are of no use to anybody.

    def _end_programs(self, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        self._lifeline.cut()
        for program in self._programs:
            program.stop(max(0.0, deadline - time.monotonic()))

    def __repr__(self) -> str:
        return f"<vine.Manager {self.name or ''} {self.run_directory}>"


_managers: set[Manager] = set()


def close_all() -> None:
    """At the interpreter's end: nothing that was started may stay behind."""
    for manager in list(_managers):
        manager.close()


atexit.register(close_all)


def _host_id_of(folder: Path) -> HostId:
    try:
        return host_id(folder)
    except OSError:
        return HostId("elsewhere")  # The manager's answer to it tells the user what to do.
