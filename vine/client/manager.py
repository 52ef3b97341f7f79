"""How does a program declare files, submit tasks and get them back: the manager as its users hold it."""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn

from vine import config, errors
from vine.client import launch
from vine.client.backlog import Backlog
from vine.client.calls import Calls
from vine.client.declarer import Declarer
from vine.client.environments import Declarable
from vine.client.higher_order import HigherOrder
from vine.client.libraries import Libraries
from vine.client.minitasks import Minitasks
from vine.client.policies import Policies
from vine.client.session import OpenTask, Session
from vine.client.stager import Stager
from vine.client.standing import Standing
from vine.client.tasks import Task
from vine.client.tuning import Tuning
from vine.host import host_id
from vine.names import FileId, HostId, TaskId
from vine.wire.keys import load_connection
from vine.wire.parts import Role

Timeout = float | Literal["wait_forever"] | None


class Manager(Minitasks, Libraries, HigherOrder, Policies, Tuning, Standing):
    """A run: files that are declared, tasks that are submitted, and workers that come and go.

    Starts a manager process that ends with this one, unless `connection` names the connection file (or run
    directory) of a running manager. Tasks make progress whether or not anybody is in `wait()`.
    """

    def __init__(
        self,
        port: launch.Port = 0,
        name: str | None = None,
        host: str = "127.0.0.1",
        run_info_path: str | os.PathLike[str] = "vine-run-info",
        connection: str | os.PathLike[str] | None = None,
        enforce_resources: bool = True,
        environment: Declarable | None = None,
    ) -> None:
        """`port` is that which workers connect to: 0 for any free one, or (low, high) for the first free one of these.

        `host` is this machine's address that it listens on: loopback unless told, so that only local workers come.
        The run's directory is made in `run_info_path`, named by the time, after `name` if that is given.

        With `enforce_resources`, tasks that use more memory or disk than they have asked for are killed.
        Tasks and libraries that name no environment run on this one: a declared file, or what `declare_environment`
        takes.

        CannotBind where no such port is free, UsageError for arguments that cannot be meant, ManagerLost where it
        cannot be started, ConnectionRefused by a `connection` that does not admit us.
        """
        super().__init__()
        self.name = name
        self.enforce_resources = enforce_resources
        self._lifeline = launch.Lifeline()
        self._program: launch.Program | None = None
        self._programs: list[launch.Program] = []
        self._closing = threading.Lock()
        self._closed = False
        self._restarts = 0
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
        self.staging_directory = welcome.staging_dir
        self._stager = Stager(self._session, welcome.staging_dir)
        self._declarer = Declarer(self._session, self._stager)
        self._calls = Calls(self._session, self._declarer)

    # --- tasks ---

    def submit(self, task: Task) -> TaskId:
        """Have the task run; `wait` returns it when it has ended. Its number in the run, at once.

        UsageError for what is no task, was submitted before, or has a file of another manager; NotSerialisable for a
        function or arguments that cannot travel; ManagerLost when the run is over.
        """
        self._session.check()
        if not isinstance(task, Task):
            raise errors.UsageError(
                f"{task!r} is no task: give a vine.Task(command), or a vine.PythonTask(function, ...)"
            )
        return self.send(task, functools.partial(self._backlog.add, task=task))

    def wait(self, timeout: Timeout = None) -> Task | None:
        """The next task that has ended; None when the time is up, in seconds, or no task is left.

        None, and "wait_forever", are for as long as it takes. ManagerLost when the run is over and tasks are left.
        """
        wait_s = _seconds(timeout)
        return self._awaited(lambda: self._backlog.take(wait_s))

    def wait_for_tag(self, tag: str | None, timeout: Timeout = None) -> Task | None:
        """As `wait`, for a task with this tag, or (None) any; None at once if no such task is left."""
        wait_s = _seconds(timeout)
        if tag is None:
            return self.wait(timeout)
        return self._awaited(lambda: self._backlog.take_tagged(tag, wait_s))

    def wait_for_task_id(self, task_id: int, timeout: Timeout = None) -> Task | None:
        """As `wait`, for this task, or (-1) any; None at once if it has been returned already."""
        wait_s = _seconds(timeout)
        if task_id == -1:
            return self.wait(timeout)
        return self._awaited(lambda: self._backlog.take_one(TaskId(task_id), wait_s))

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

    def cancel_by_task_id(self, task_id: int) -> bool:
        """Stop a task; it comes back through `wait` with the result 'cancelled', or what came first."""
        if not self._session.is_open(TaskId(task_id)):
            return False
        self._session.cancel_task(TaskId(task_id))
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
        """Return when so many workers are connected; TimeoutError after `timeout` seconds, ManagerLost at the end."""
        if not self._session.await_news(lambda: self._session.state.workers >= count, timeout):
            raise TimeoutError(
                f"{self._session.state.workers} of {count} workers are connected after {timeout:g} s: "
                f"start them with `vine-worker --connection {self.connection_file}`, or look at their logs"
            )

    @property
    def runtime_directory(self) -> str:
        """TaskVine's name for `run_directory`: the journal, the logs and the keys of the run."""
        return str(self.run_directory)

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

    def send(self, task: Task, expecting: Callable[[TaskId], OpenTask]) -> TaskId:
        """Have the task run; what `expecting` makes of its number hears how it ends."""
        task_id = self._session.number_task()
        spec = task.submitted(self, task_id)
        try:
            self._session.expect(task_id, expecting(task_id))
            self._calls.submit(spec, task.links)
            task.links = None  # It may hold large memory of the user's.
        except BaseException:  # Such as a Ctrl-C while it waits: `wait` must not wait for it.
            self._session.claim(task_id)
            self._backlog.drop(task_id)
            raise
        return task_id

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

    def adopt(self, program: launch.Program) -> None:
        """A program that ends with the run."""
        self._programs.append(program)

    def before_close(self, call: Callable[[], None]) -> None:
        """To be called before the run ends."""
        self._before_close.append(call)

    def _on_exit(self) -> None:
        assert self._program is not None
        if self._closed:
            return
        error = self._revived()
        if error is not None:
            self._session.fail(error)
            self._lifeline.cut()  # Without it factory and workers are of no use to anybody.

    def _revived(self) -> errors.ManagerLost | None:
        """Start the manager again, which goes on with the run; or why not. One that was told to end is let go."""
        assert self._program is not None
        ended = f"the manager has ended ({self._program.last_words()})"
        if self._program.exit_code == errors.ExitCode.OK:
            return errors.ManagerLost(ended)
        if self._restarts == config.manager_restarts_max:
            return errors.ManagerLost(f"{ended}, after it was started again {self._restarts} times")
        self._restarts += 1
        try:
            program = launch.restart_manager(self._lifeline, str(self.run_directory))
        except (errors.VineError, OSError, ValueError) as why:
            return errors.ManagerLost(f"{ended}, and the run cannot go on: {why}")
        self._programs.append(program)
        self._program = program
        program.watch(self._on_exit)
        return None

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


def _seconds(timeout: Timeout) -> float | None:
    if timeout is None or timeout == "wait_forever":
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise errors.UsageError(f"timeout={timeout!r} is no time: give seconds, or 'wait_forever'")
    return timeout


def _host_id_of(folder: Path) -> HostId:
    try:
        return host_id(folder)
    except OSError:
        return HostId("elsewhere")  # The manager's answer to it tells the user what to do.
