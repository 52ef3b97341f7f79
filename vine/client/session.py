"""What does this process have open with one manager: tasks, files asked for, and the state of the run?

Four threads meet here. Any of the user's threads puts submissions into the outbox. The pump's thread hears the
manager. The completion thread turns results into values and resolves futures, since that runs the user's code.
A further one runs callbacks, which may wait for results.
Whoever claims a task from the table of open ones is the one to end it.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import mmap
import os
import secrets
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Protocol

import msgspec

from vine import config, errors
from vine.client.broadcasts import Broadcasts
from vine.client.callbacks import Callback, Callbacks
from vine.client.crowd import Crowd
from vine.client.fetches import Fetches
from vine.client.outbox import Outbox
from vine.client.pump import Pump
from vine.client.serial_thread import SerialThread
from vine.names import ClientId, FileId, HostId, TaskId, numbered
from vine.wire.keys import Connection
from vine.wire.messages import (
    BringFile,
    ClientHello,
    ClientWelcome,
    FileBrought,
    FileSpread,
    FromClient,
    Message,
    ReplicateFile,
    ResultBrought,
    RunState,
    TasksAwaited,
    TasksEnded,
)
from vine.wire.parts import FileSpec, TaskResult, TaskSpec

Content = bytes | memoryview


class OpenTask(Protocol):
    """A submitted task that somebody waits for; whoever claimed it calls one of these, once."""

    def ended(self, result: TaskResult, value: Content | None) -> None:
        """The manager has committed its end; `value` is serialised."""

    def broken(self, error: BaseException) -> None:
        """It will never be heard of again."""

    def disowned(self, error: BaseException) -> None:
        """This process is a forked child: no other thread is here, and those who are told are the parent's."""

    def abandoned(self) -> None:
        """The user closed the run before its end."""


# Results; a broadcast's answer; a result that had stayed on workers; the end of the run.
Completion = tuple[TaskResult, ...] | FileSpread | ResultBrought | errors.VineError

_log = logging.getLogger(__name__)
_sessions: weakref.WeakSet[Session] = weakref.WeakSet()
_session_numbers = itertools.count()


class _Asked:
    """A question for a file's content."""

    answer: FileBrought | None = None

    def is_answered(self) -> bool:
        return self.answer is not None


class Session:
    def __init__(self, connection: Connection, host_id: HostId) -> None:
        self.error: errors.VineError | None = None  # why nothing more will come
        self.welcome: ClientWelcome | None = None
        self.state = RunState(workers=0, cores=0.0, tasks={}, bytes_from_manager=0, bytes_from_peers=0)
        self.outbox = Outbox()
        self._open: dict[TaskId, OpenTask] = {}
        self._bringing: dict[FileId, _Asked] = {}  # under `_news`; who has given up waiting leaves the question open
        self._replicated: dict[FileId, ReplicateFile] = {}
        self._crowd = Crowd()
        self._task_numbers = itertools.count(1)
        self._file_numbers = itertools.count(1)
        self._client_index = 0
        self._news = threading.Condition()
        self._completions: SerialThread[Completion] = SerialThread("vine-client-results", self._complete)
        self._on: dict[type[Message], Callable[[Any], object]] = {
            ClientWelcome: self._on_welcome,
            TasksEnded: self._on_ended,
            FileBrought: self._on_brought,
            FileSpread: self._completions.put,
            ResultBrought: self._completions.put,
            RunState: self._on_state,
        }
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        self._hello = ClientHello(ClientId(uuid.uuid4().hex), host_id, version, secrets.token_bytes(32))
        self._pump = Pump(connection, self._say_hello, self.outbox, self)
        self._callbacks = Callbacks()
        self.broadcasts = Broadcasts(self.call_back)
        self.fetches = Fetches(self.say)
        self._process_id = os.getpid()
        self._closed = False
        self._number = next(_session_numbers)
        _sessions.add(self)

    def _say_hello(self) -> ClientHello:
        """As it is now: who was admitted before proves it to a manager that was started again."""
        return self._hello

    def open(self) -> ClientWelcome:
        """Connect; returns when the manager has admitted us, and raises why it has not."""
        self._pump.start()
        self.await_news(lambda: self.welcome is not None, None)
        assert self.welcome is not None
        return self.welcome

    # --- for the user's threads ---

    def number_task(self) -> TaskId:
        return TaskId(numbered(self._client_index, next(self._task_numbers)))

    def number_file(self) -> FileId:
        return FileId(numbered(self._client_index, next(self._file_numbers)))

    def expect(self, task_id: TaskId, task: OpenTask) -> None:
        """The task is open from now on, though it may be submitted only later."""
        self._open[task_id] = task
        # Looked at after the entry is made: the run's end either finds the entry or is seen here.
        if self.error is not None and self.claim(task_id) is not None:
            self.check()

    def submit(self, spec: TaskSpec) -> None:
        """Send it off; a moment later if more is open than memory should hold."""
        if len(self._open) > config.open_tasks_max or self._crowd.bytes > config.open_bytes_max:
            self._crowd.wait(self._crowded)
        if len(spec.payload) >= config.open_bytes_counted_from:
            self._crowd.enter(spec.task_id, len(spec.payload))
            if spec.task_id not in self._open:
                self._crowd.leave(spec.task_id)  # It was cancelled meanwhile.
        self.outbox.put_task(spec)

    def _crowded(self) -> bool:
        return len(self._open) > config.open_tasks_max or self._crowd.bytes > config.open_bytes_max

    def declare(self, spec: FileSpec) -> None:
        self.check()
        self.outbox.put(spec)

    def say(self, message: FromClient) -> None:
        self.outbox.put(message)

    def claim(self, task_id: TaskId) -> OpenTask | None:
        task = self._open.pop(task_id, None)
        if task is not None and self._crowd.watched:
            self._crowd.leave(task_id)
        return task

    def is_open(self, task_id: TaskId) -> bool:
        return task_id in self._open

    @property
    def open_count(self) -> int:
        """How many tasks are open."""
        return len(self._open)

    def open_tasks(self) -> list[tuple[TaskId, OpenTask]]:
        return list(self._open.items())

    def cancel_task(self, task_id: TaskId) -> None:
        self.outbox.cancel(task_id)

    def forget_result(self, task_id: TaskId) -> None:
        self.outbox.forget(task_id)

    def forget_file(self, file_id: FileId) -> None:
        """For destructors: no later task will name it."""
        self.outbox.forget_file(file_id)

    def call_back(self, callback: Callback, future: Future[Any]) -> None:
        self._callbacks.put(callback, future)

    def check(self) -> None:
        """Raise why the run is over, if it is."""
        if self.error is not None:
            raise anew(self.error)

    def broadcast(self, file_id: FileId, workers: str | int | Iterable[str]) -> Future[int]:
        """Have a file brought to workers; resolves to how many have it."""
        self.check()
        message = self.broadcasts.request(file_id, workers)
        future = self.broadcasts.expect(message.request)
        # Looked at after the entry is made: the run's end either finds the entry or is seen here.
        if self.error is not None:
            self.broadcasts.broken(message.request, anew(self.error))
        self.say(message)
        return future

    def bring(self, file_id: FileId, timeout: float | None) -> FileBrought:
        """Have a file's content brought to where this process can read it; all who ask meanwhile share one answer.

        That there is no content may have been said before who joins asked, and so before its task was submitted: such
        a one asks again.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.check()
            with self._news:
                asked = self._bringing.get(file_id)
                joined = asked is not None
                if asked is None:
                    asked = self._bringing[file_id] = _Asked()
                    self.say(BringFile(file_id))
            if not self.await_news(asked.is_answered, None if deadline is None else deadline - time.monotonic()):
                raise TimeoutError(f"file {file_id} did not arrive within {timeout} s: ask again, or wait longer")
            assert asked.answer is not None
            if asked.answer.path is not None or not joined:
                return asked.answer

    def replicate(self, message: ReplicateFile) -> None:
        """Have copies of a file kept, also by a manager that is started later."""
        self._replicated[message.file_id] = message
        self.say(message)

    def await_news(self, seen: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until the manager has said what makes `seen` true."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._news:
            while not seen():
                self.check()
                wait_s = None if deadline is None else deadline - time.monotonic()
                if wait_s is not None and wait_s <= 0:
                    return False
                self._news.wait(wait_s)
        return True

    def fail(self, cause: errors.VineError) -> None:
        """Nothing more will come from the manager: every open task ends with this error."""
        self._pump.fail(cause)

    def close(self) -> None:
        """Leave the run; what is open is cancelled. Harmless when done twice, or in a forked child."""
        if self._closed or os.getpid() != self._process_id:
            return
        self._closed = True
        self.await_deliveries()
        self.fetches.bring_rest(lambda: 0 if self.error is not None else self.state.workers)
        for task_id, task in self.open_tasks():
            if self.claim(task_id) is not None:
                self.cancel_task(task_id)
                _tell("task", task_id, task.abandoned)
        self._pump.close()
        self.lost(errors.ManagerLost("this manager has been closed: make another one"))
        self._completions.close()
        self._callbacks.close()

    def await_deliveries(self) -> None:
        """Return when every result that has come is with its future, and callbacks have run."""
        if not self._completions.is_current:  # What runs there, a callback may be waiting for.
            self._completions.flush()
            self._callbacks.flush()

    # --- for the pump's thread ---

    def heard(self, message: Message) -> None:
        handle = self._on.get(type(message))
        if handle is not None:  # A `Refused` is for the link to tell.
            handle(message)

    def reopened(self) -> list[FromClient]:
        """The manager was started again: it is told what we wait for, and asked again what it has not answered."""
        asked: list[FromClient] = [
            *map(BringFile, self._bringing.copy()),
            *self.fetches.asked(),
            *self.broadcasts.asked(),
            *self._replicated.copy().values(),
        ]
        return [TasksAwaited(tuple(self._open.copy())), *asked]

    def lost(self, error: errors.VineError) -> None:
        with self._news:
            if self.error is None:
                self.error = error
                self._completions.put(error)
            self._news.notify_all()

    def _on_welcome(self, welcome: ClientWelcome) -> None:
        with self._news:
            if self.welcome is None:  # A later one follows a restart of the manager; our numbers go on.
                self._client_index = welcome.client_index
                self.welcome = welcome
            self._hello = msgspec.structs.replace(self._hello, index=welcome.client_index, epoch=welcome.epoch)
            self._news.notify_all()

    def _on_ended(self, message: TasksEnded) -> None:
        self._completions.put(message.results)

    def _on_brought(self, message: FileBrought) -> None:
        with self._news:
            asked = self._bringing.pop(message.file_id, None)
            if asked is not None:  # None: asked by a manager's life before, and answered by both.
                asked.answer = message
                self._news.notify_all()

    def _on_state(self, message: RunState) -> None:
        with self._news:
            self.state = message
            self._news.notify_all()

    # --- the completion thread ---

    def _complete(self, completion: Completion) -> None:
        if isinstance(completion, errors.VineError):
            self._break_all(completion)
        elif isinstance(completion, FileSpread):
            _tell("broadcast", completion.request, self.broadcasts.heard, completion)
        elif isinstance(completion, ResultBrought):
            _tell("result", completion.task_id, self.fetches.heard, completion, _take_value)
        else:
            for result in completion:
                _tell("task", result.task_id, self._end, result)

    def _end(self, result: TaskResult) -> None:
        task = self.claim(result.task_id)
        value: Content | None = result.value
        if result.value_path is not None:
            try:
                value = _take_value(result.value_path)
            except OSError as cause:
                error = errors.TaskFailed(f"the result of task {result.task_id} cannot be read: {cause}")
                if task is not None:
                    task.broken(error)
                return
        if task is not None:  # None: cancelled, and nobody waits for it.
            task.ended(result, value)

    def _break_all(self, error: errors.VineError) -> None:
        for task_id, _ in self.open_tasks():
            task = self.claim(task_id)
            if task is not None:
                _tell("task", task_id, task.broken, anew(error))
        self.fetches.broken(functools.partial(anew, error))
        for number in self.broadcasts.open_numbers():
            _tell("broadcast", number, self.broadcasts.broken, number, anew(error))


def _tell(kind: str, number: int, tell: Callable[..., None], *what: object) -> None:
    """Tell a task its end. What that raises must not keep the others from theirs: someone has resolved the future
    over our heads, or a callback has called sys.exit()."""
    try:
        tell(*what)
    except BaseException:  # noqa: BLE001 - logged; one task's trouble is not that of the others
        _log.exception("the end of %s %s could not be delivered", kind, number)


def staging_dirs() -> list[str]:
    """The staging folders of the runs in which this process takes part, the latest first."""
    latest_first = sorted(_sessions.copy(), key=lambda session: -session._number)
    return [s.welcome.staging_dir for s in latest_first if s.welcome is not None and s.error is None]


def anew(error: errors.VineError) -> errors.VineError:
    """One of its own for each who is told: raising an exception lengthens its traceback."""
    return type(error)(*error.args)


def _disown_sessions() -> None:
    """In a forked child: its parent's threads are not here, and its sockets are not ours to touch."""
    for session in list(_sessions):
        if session._closed:
            continue
        session._news = threading.Condition()
        session.outbox = Outbox()  # Else a word of ours would wake the parent's thread.
        session.error = error = errors.ManagerLost(
            f"this manager belongs to process {session._process_id}, of which this one is a fork: "
            "make another manager here, or connect one to its connection file"
        )
        open_here, session._open = session._open, {}
        for task in open_here.values():
            task.disowned(anew(error))
        session.broadcasts.disowned(error)
        session.fetches.disowned(functools.partial(anew, error))


os.register_at_fork(after_in_child=_disown_sessions)


def _take_value(path: str) -> memoryview:
    """Arrays in it stay where it lies, and are nobody else's."""
    with open(path, "rb") as file:
        value = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return value
