"""As what do Parsl's users meet our errors: each is one of Parsl's, and of ours beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsl.app.errors import AppException, AppTimeout
from parsl.executors.errors import BadStateException, InvalidResourceSpecification
from parsl.executors.high_throughput import errors as htex
from parsl.serialize.errors import DeserializationError, SerializationError

from vine import errors
from vine.wire.parts import Outcome

if TYPE_CHECKING:
    from parsl.executors.base import ParslExecutor

    from vine.wire.parts import TaskResult

# mypy sees Parsl's classes as Any, since its types are not followed (setup.cfg).


class TaskFailed(AppException, errors.TaskFailed):  # type: ignore[misc]
    """The app did not succeed for a reason that is no exception of its own; its `__cause__` is vine's error."""


class ResourceExhausted(AppException, errors.LimitExceeded):  # type: ignore[misc]
    """The app was killed for taking more memory or disk than it was allowed."""


class TimeExceeded(AppTimeout, errors.TimeLimitExceeded):  # type: ignore[misc]
    """The app was killed for running longer than its `running_time_max`."""


class _Lost(Exception):  # noqa: N818 - as ours are named
    """What Parsl's errors of lost workers have; their own constructors take it apart in other ways."""

    def __init__(self, message: str, worker_id: str | None = None, hostname: str = "") -> None:
        Exception.__init__(self, message)
        self.worker_id = worker_id
        self.manager_id = (worker_id or "").encode()
        self.hostname = hostname

    def __str__(self) -> str:
        return Exception.__str__(self)


class ProcessLost(_Lost, htex.WorkerLost, errors.TaskFailed):  # type: ignore[misc]
    """The process that ran the app died, or ended itself."""


class WorkerLost(_Lost, htex.ManagerLost, htex.WorkerLost, errors.WorkerLost):  # type: ignore[misc]
    """The app took several workers along, or none was left to try. (HTEX's manager of a node is our worker.)"""


class NoWorkerFits(InvalidResourceSpecification, errors.NoWorkerFits):  # type: ignore[misc]
    """The app's specification asks for more than any worker that could come has."""

    def __init__(self, message: str) -> None:
        super().__init__(set(), message)

    def __str__(self) -> str:
        return str(self.message)


class NotSent(SerializationError, errors.NotSerialisable):  # type: ignore[misc]  # noqa: N818 - as above
    """The app's function, arguments or result cannot travel."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.fname)


class NotRead(DeserializationError, errors.NotSerialisable):  # type: ignore[misc]  # noqa: N818 - as above
    """The app's result or exception has come, and cannot be read here."""


class ManagerLost(BadStateException, errors.ManagerLost):  # type: ignore[misc]
    """The run's manager is gone, and with it every app that had not ended."""


class FactoryLost(BadStateException, errors.FactoryLost):  # type: ignore[misc]
    """The factory has ended, and no worker is left to run anything."""


def translated(error: BaseException, executor: ParslExecutor, ended: TaskResult | None = None) -> BaseException:
    """The error as Parsl's users know it; those of their own functions are left as they are.

    `ended` is how the app's task ended, if it got so far.
    """
    if not isinstance(error, errors.VineError):
        return error
    made = _made(error, executor, ended)
    made.__cause__ = error
    return made


def _made(error: errors.VineError, executor: ParslExecutor, ended: TaskResult | None) -> BaseException:
    message = str(error)
    outcome = None if ended is None else ended.outcome
    if isinstance(error, errors.ManagerLost):
        return ManagerLost(executor, error)
    if isinstance(error, errors.FactoryLost):
        return FactoryLost(executor, error)
    if isinstance(error, errors.NotSerialisable):
        read = outcome is not None and outcome is not Outcome.NOT_SERIALISABLE
        return NotRead(message) if read else NotSent(message)
    if isinstance(error, errors.NoWorkerFits):
        return NoWorkerFits(message)
    if isinstance(error, errors.TimeLimitExceeded):
        return TimeExceeded(message)
    if isinstance(error, errors.LimitExceeded):
        return ResourceExhausted(message)
    if isinstance(error, errors.WorkerLost) or outcome in (Outcome.KILLED, Outcome.EXIT_CODE):
        assert ended is not None or isinstance(error, errors.WorkerLost)
        kind = WorkerLost if isinstance(error, errors.WorkerLost) else ProcessLost
        return kind(message, *((ended.worker_id, ended.hostname) if ended is not None else ()))
    return TaskFailed(message)
