"""Which results that have stayed on workers are being brought here, and what do their futures hold until then?"""

from __future__ import annotations

import concurrent.futures
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from vine import config, errors
from vine.client.futures import Content, VineFuture, read_outcome
from vine.names import TaskId
from vine.wire.messages import BringResult, FromClient, KeepResults, ResultBrought
from vine.wire.parts import Outcome, TaskResult

T = TypeVar("T")


class Fetches:
    """The results that are asked for; whoever takes one out is the one to resolve it."""

    def __init__(self, say: Callable[[FromClient], None]) -> None:
        self._say = say
        self._open: dict[TaskId, Future[Any]] = {}
        self._lock = threading.Lock()
        self._remote: weakref.WeakSet[VineFuture[Any]] = weakref.WeakSet()
        self._error: Callable[[], errors.VineError] | None = None  # why no answer will come any more

    def left(self, future: VineFuture[Any]) -> None:
        """Its call has ended, and its value is on workers."""
        self._remote.add(future)

    def keep(self, task_id: TaskId) -> None:
        """The value is to stay there, if it is large."""
        self._say(KeepResults((task_id,)))

    def ask(self, task_id: TaskId) -> Future[Any]:
        """The value, once it is here; those that ask meanwhile get the same."""
        with self._lock:
            future = self._open.get(task_id)
            if future is None:
                future = Future()
                if self._error is not None:
                    future.set_exception(self._error())
                    return future
                self._open[task_id] = future
                self._say(BringResult(task_id))
            return future

    def asked(self) -> list[BringResult]:
        """What has not been answered yet."""
        return [BringResult(task_id) for task_id in list(self._open)]

    def heard(self, answer: ResultBrought, read: Callable[[str], Content]) -> None:
        """On the completion thread: unpickling runs the user's code."""
        future = self._open.pop(answer.task_id, None)
        if future is None:
            return
        value: Any = None
        error: BaseException | None = None
        if answer.path is None:
            error = errors.TaskFailed(answer.message or f"the result of task {answer.task_id} is gone")
        else:
            try:
                value, error = read_outcome(TaskResult(answer.task_id, Outcome.SUCCESS), read(answer.path))
            except OSError as why:
                error = errors.TaskFailed(f"the result of task {answer.task_id} cannot be read: {why}")
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def broken(self, error: Callable[[], errors.VineError]) -> None:
        """No answer will come any more."""
        with self._lock:
            self._error = error
        while self._open:
            self._open.popitem()[1].set_exception(error())

    def disowned(self, error: Callable[[], errors.VineError]) -> None:
        """This process is a forked child: whoever held the lock, or waits, is the parent's."""
        self._lock = threading.Lock()
        self._open = {}
        self._error = error

    def bring_rest(self, workers: Callable[[], int]) -> None:
        """Have the values here of all futures that are held, but for those that their holders want elsewhere.

        Their results can be asked for when the run is over, as those of any other future. Where no worker is left
        nothing can come.
        """
        held = [future for future in list(self._remote) if future.is_remote and not future.kept_remote]
        asked = [self.ask(future.task_id) for future in held]
        waiting = set(asked)
        while waiting:
            _, waiting = concurrent.futures.wait(waiting, config.heartbeat_interval_s)
            if not workers():  # Looked at only now: of workers a client hears a while after they have come.
                break
        for future, fetched in zip(held, asked, strict=True):
            if fetched.done() and fetched.exception() is None:
                future.fetched(fetched.result())


def remote_value(future: Future[T]) -> Future[T]:
    """The same future, whose value, if it is large, is left on the workers: the future stands for it, and is passed on.

    Calls that are given the future as an argument get the value from there, and it does not pass through this
    process. `result()` still works while the run lasts: it brings the value here. (Of a future that another call
    is given before its own has ended the value stays there unasked; what is still held of such ones is brought here
    at the run's end.) A value that has come by now is not sent back.

    UsageError is raised for what is no future of an executor of vine.
    """
    if not isinstance(future, VineFuture):
        raise errors.UsageError(f"{future!r} is no future of a vine.Executor: give what its submit() returned")
    future.kept_remote = True
    future.session.fetches.keep(future.task_id)
    return future
