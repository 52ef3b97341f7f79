"""What does a caller hold of a call that runs elsewhere?"""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from vine import errors
from vine.client import resources, serialise
from vine.client.callbacks import Callback, DeferringFuture
from vine.client.links import reduced_future
from vine.names import TaskId, WorkerId
from vine.wire.parts import Outcome, TaskResult, Times

if TYPE_CHECKING:
    from vine.client.fetches import Fetches

T = TypeVar("T")
_ON_WORKERS: Any = object()  # the result of a future whose value has stayed there
Content = bytes | memoryview


class RemoteTraceback(Exception):  # noqa: N818 - it is the traceback of an error, not one
    """Where on the worker an exception came from; it hangs on the exception as its `__cause__`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class CallSession(Protocol):
    """What a future needs of the session that its call belongs to."""

    def claim(self, task_id: TaskId) -> object | None:
        """Take the task out of the open ones; None if another has."""

    def cancel_task(self, task_id: TaskId) -> None:
        """Have the manager stop the task."""

    def forget_result(self, task_id: TaskId) -> None:
        """Nobody can pass the task's result on any more."""

    @property
    def fetches(self) -> Fetches:
        """Where results are asked for that have stayed on workers."""

    def call_back(self, callback: Callback, future: concurrent.futures.Future[Any]) -> None:
        """Run a callback where it holds up nothing of ours."""


_ERRORS: dict[Outcome, type[errors.VineError]] = {
    Outcome.CANCELLED: errors.TaskCancelled,
    Outcome.NOT_SERIALISABLE: errors.NotSerialisable,
    Outcome.NO_WORKER_FITS: errors.NoWorkerFits,
    Outcome.FIXED_LOCATION_MISSING: errors.FixedLocationMissing,
    Outcome.INPUT_MISSING: errors.InputMissing,
    Outcome.INPUT_CHANGED: errors.InputChanged,
    Outcome.INPUT_ALTERED: errors.InputAltered,
    Outcome.DEPENDENCY_FAILED: errors.DependencyFailed,
    Outcome.WORKER_LOST: errors.WorkerLost,
    Outcome.FORSAKEN: errors.Forsaken,
    Outcome.TIME_LIMIT: errors.TimeLimitExceeded,
    Outcome.END_TIME: errors.TimeLimitExceeded,
    Outcome.MEMORY_LIMIT: errors.MemoryLimitExceeded,
    Outcome.DISK_LIMIT: errors.DiskLimitExceeded,
    Outcome.PROCESS_LIMIT: errors.ProcessLimitExceeded,
    Outcome.OUTPUT_LIMIT: errors.OutputLimitExceeded,
    Outcome.DISK_FULL: errors.OutOfDisk,
    Outcome.PYTHON_MISMATCH: errors.PythonMismatch,
    Outcome.LIBRARY_FAILED: errors.LibraryFailed,
    Outcome.LIBRARY_MISSING: errors.LibraryMissing,
}


def error_of(result: TaskResult, value: Content | None) -> BaseException | None:
    """The error that a task's end means to its user; None for success."""
    if result.outcome is Outcome.SUCCESS:
        return None
    if result.outcome is Outcome.EXCEPTION and value is not None:
        return _raised(value)
    kind = _ERRORS.get(result.outcome, errors.TaskFailed)
    error = kind(result.message or f"the task ended as '{result.outcome.value}'; the worker gave no cause")
    if result.outcome is Outcome.LIBRARY_FAILED and value is not None:
        error.__cause__ = _raised(value)
    return error


def _raised(value: Content) -> BaseException:
    """What was raised on the worker, with the traceback that it had there."""
    exception, text = serialise.load(value)
    assert isinstance(exception, BaseException)
    if text:
        exception.__cause__ = RemoteTraceback(text)
    return exception


def read_outcome(result: TaskResult, value: Content | None) -> tuple[Any, BaseException | None]:
    """The value and the error of an ended task. Runs the user's code, as unpickling does."""
    try:
        if result.outcome is Outcome.SUCCESS:
            return (None if value is None else serialise.load(value)), None
        return None, error_of(result, value)
    except BaseException as cause:  # noqa: BLE001 - whatever unpickling raises belongs to this task alone
        what = "result" if result.outcome is Outcome.SUCCESS else "exception"
        error = errors.NotSerialisable(
            f"the {what} of task {result.task_id} cannot be read here ({type(cause).__name__}: {cause}): "
            "make the modules that it needs importable in this process too"
        )
        error.__cause__ = cause
        return None, error


class VineFuture(DeferringFuture[T]):
    """The future of a call; other calls of the same run take it as an argument without fetching its value.

    The client does not hear when a body starts, so a future is pending until it is done, `running()` is never
    true, and `cancel()` succeeds until then: it stops a body that already runs. Callbacks run on a thread of
    their own, one after another: one that waits, or submits, holds up no result.
    """

    mark = b""  # before the serialised arguments of its call
    waits_here = False  # for futures from elsewhere among its arguments: the run has not heard of it
    kept_remote = False  # Its value is to stay on workers.
    task: TaskResult | None = None  # how the call ended: worker, times, attempts; without its value

    def __init__(self, session: CallSession, task_id: TaskId, pool: object = None) -> None:
        self.task_id = task_id
        self.session = session  # First of all: `__del__` needs both, should a Ctrl-C come in the next line.
        super().__init__()
        self.pool = pool  # the executor that it came from

    @property
    def times(self) -> Times | None:
        """Where the ended call's time on its worker went."""
        return self.task.times if self.task is not None else None

    @property
    def resources_measured(self) -> resources.TaskResources | None:
        """What the ended call has used."""
        return None if self.task is None else resources.measured(self.task)

    @property
    def worker(self) -> WorkerId | None:
        """The worker that ran the ended call."""
        return self.task.worker_id if self.task is not None else None

    def cancel(self) -> bool:
        """As `concurrent.futures`, but for a call that runs, too: it is killed. False if it has ended otherwise."""
        # Whoever claims the task from the session is the one to resolve its future.
        if self.session.claim(self.task_id) is None:
            return self.cancelled()
        self.session.cancel_task(self.task_id)
        self._end_cancelled()
        return True

    def call_back(self, callback: Callback, future: concurrent.futures.Future[Any]) -> None:
        self.session.call_back(callback, future)

    def ended(self, result: TaskResult, value: Content | None) -> None:
        """The claimed task has ended; `value` is serialised."""
        self.task = result if result.value is None else msgspec.structs.replace(result, value=None)
        if result.outcome is Outcome.CANCELLED:
            self._end_cancelled()
        else:
            self._take(result, value)

    def result(self, timeout: float | None = None) -> T:
        """As in `concurrent.futures`; a value that has stayed on workers is brought here first."""
        try:
            value = super().result(timeout)
            if value is _ON_WORKERS:
                value = self.session.fetches.ask(self.task_id).result(timeout)
                self.fetched(value)
            return value
        finally:
            del self  # The traceback of what is raised holds this frame, and must not hold the future, which holds it.

    def fetched(self, value: T) -> None:
        """The value that had stayed on workers is here."""
        self._result = value

    @property
    def is_remote(self) -> bool:
        """Whether its call has ended, and its value is on workers."""
        return self._result is _ON_WORKERS

    def _take(self, result: TaskResult, value: Content | None) -> None:
        if result.remote:
            self.session.fetches.left(self)
            self.set_result(_ON_WORKERS)
            return
        outcome, error = read_outcome(result, value)
        if error is None:
            self.set_result(outcome)
        else:
            self.set_exception(error)

    def broken(self, error: BaseException) -> None:
        """The claimed task will never be heard of again."""
        self.set_exception(error)

    def abandoned(self) -> None:
        """The run was closed before the claimed task had ended."""
        self._end_cancelled()

    def _end_cancelled(self) -> None:
        super().cancel()
        self.set_running_or_notify_cancel()  # Tells those in `wait` and `as_completed`.

    def __reduce__(self) -> Any:
        return reduced_future(self)

    def __del__(self) -> None:
        # Not weakref.finalize, which costs a call about as much as the rest of its future.
        self.session.forget_result(self.task_id)
