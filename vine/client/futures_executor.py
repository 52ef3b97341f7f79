"""What do TaskVine's users have for `Executor`: the same under its name, with its arguments and prepared calls?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar, overload

from vine import errors
from vine.client import launch
from vine.client.executor import Executor
from vine.client.factory import Factory
from vine.client.futures import VineFuture
from vine.client.libraries import FunctionCall, LibraryTask
from vine.client.manager import Manager
from vine.client.python_tasks import PythonTask
from vine.factory_options import BatchType, FactoryOptions
from vine.names import TaskId
from vine.wire.parts import TaskKind

T = TypeVar("T")

_THEIR_OPTIONS = {
    "timeout": "idle_timeout",
    "batch_options": "batch_option",
    "condor_requirements": "requirements",
    "python_env": "worker_environment",
}
# But for two that are arguments of the executor, or its own affair.
_OPTIONS = tuple(name for name in FactoryOptions.__struct_fields__ if name not in ("batch_type", "name"))


class _Prepared:
    """A call that is to be a future, which has its outcome, as the executor submits it."""

    def __init__(self, manager: Manager, *call: Any, **named: Any) -> None:
        """`manager` is that of the executor which is to submit it."""
        super().__init__(*call, **named)
        self.prepared_for = manager

    def enable_temp_output(self) -> None:
        """Changes nothing: the value of a future goes from worker to worker, and comes here when it is asked for."""


class FuturePythonTask(_Prepared, PythonTask):
    """A call that is prepared before it is submitted: what `FuturesExecutor.future_task` returns.

    It is given resources, inputs, variables and so on as any task is, and runs as the calls of an executor do: in a
    warm interpreter, on one core unless told otherwise. Its outcome is the future's: it has no `output` of its own.
    """

    _kind = TaskKind.CALL

    def __init__(self, manager: Manager, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(manager, function, *args, **kwargs)
        self.set_cores(1)


class FutureFunctionCall(_Prepared, FunctionCall):
    """A call of a library's function that is to be a future: what `FuturesExecutor.future_funcall` returns."""

    def __init__(self, manager: Manager, library: str | LibraryTask, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(manager, library, name, *args, **kwargs)


class FuturesExecutor(Executor):
    """An `Executor` that is made as TaskVine's is, and takes calls that were prepared.

    All else is as there: `submit`, `map`, `shutdown`, futures as arguments, `concurrent.futures.wait` and
    `as_completed`. It starts a manager, unless it is given one, and with `factory` workers of this `batch_type`.
    """

    def __init__(
        self,
        port: launch.Port = 0,
        batch_type: BatchType = "local",
        manager: Manager | None = None,
        manager_host_port: str | None = None,
        manager_name: str | None = None,
        factory_binary: str | None = None,
        worker_binary: str | None = None,
        log_file: str | os.PathLike[str] | None = None,
        factory: bool = True,
        opts: Mapping[str, Any] | None = None,
    ) -> None:
        """`opts` are options of the factory: those of `vine.Factory`, with `-` or `_`, or TaskVine's words for them.

        UsageError lists them, should there be another. `manager_host_port`, `factory_binary`, `worker_binary` and
        `log_file` are TaskVine's, and change nothing: the factory knows its manager, and finds the programs that are
        installed with this one; its log is in the run's directory.
        """
        options = {_option(name): value for name, value in (opts or {}).items()}
        if factory and not {"min_workers", "max_workers"} & options.keys():
            options["min_workers"] = 1
        owned = manager is None
        manager = manager or Manager(port=port, name=manager_name)
        try:
            super().__init__(manager, batch_type=batch_type, **(options if factory else {}))
        except BaseException:
            if owned:
                manager.close()
            raise
        self._pool.owned = owned

    @property
    def port(self) -> int:
        """That which workers connect to."""
        return self.manager.port

    @property
    def factory(self) -> Factory | None:
        """What keeps its workers; None if it was made without one."""
        return self._pool.factory

    def set(self, name: str, value: Any) -> None:
        """Change an option of the factory while it runs, named as in `opts`; without a factory nothing happens.

        UsageError for what is no option, cannot change now, or cannot be.
        """
        option = _option(name)
        if self.factory is not None:
            setattr(self.factory, option, value)

    def get(self, name: str) -> Any:
        """An option of the factory, named as in `opts`; None without a factory. UsageError for what is no option."""
        option = _option(name)
        return None if self.factory is None else getattr(self.factory, option)

    def future_task(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FuturePythonTask:
        """The call fn(*args, **kwargs), to be given resources and the like, and then to `submit`."""
        return FuturePythonTask(self.manager, fn, *args, **kwargs)

    def create_library_from_functions(self, name: str, *functions: Callable[..., Any], **settings: Any) -> LibraryTask:
        """As `Manager.create_library_from_functions`."""
        return self.manager.create_library_from_functions(name, *functions, **settings)

    def install_library(self, library: LibraryTask) -> None:
        """As `Manager.install_library`."""
        self.manager.install_library(library)

    def future_funcall(self, library: str | LibraryTask, name: str, *args: Any, **kwargs: Any) -> FutureFunctionCall:
        """A call of this function of an installed library, to be given to `submit`."""
        return FutureFunctionCall(self.manager, library, name, *args, **kwargs)

    @overload
    def submit(self, fn: FuturePythonTask | FutureFunctionCall, /) -> Future[Any]: ...

    @overload
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]: ...

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`; or the future of a prepared call, which has all that it needs, and is submitted once.

        Among the arguments of a prepared call, futures from outside the run must be done.
        """
        if not isinstance(fn, (FuturePythonTask, FutureFunctionCall)):
            return super().submit(fn, *args, **kwargs)
        if args or kwargs:
            raise errors.UsageError(f"{fn!r} is a prepared call, which has its arguments: give them when it is made")
        if fn.prepared_for is not self.manager:
            raise errors.UsageError(f"{fn!r} was prepared for another manager: make it with this executor")
        self._check()
        futures: list[VineFuture[Any]] = []

        def expecting(task_id: TaskId) -> VineFuture[Any]:
            futures.append(VineFuture(self.manager.session, task_id, self._pool))
            return futures[0]

        self.manager.send(fn, expecting)
        return futures[0]


def _option(name: str) -> str:
    """What `vine.Factory` calls it."""
    plain = name.replace("-", "_")
    found = _THEIR_OPTIONS.get(plain, plain)
    if found not in _OPTIONS:
        known = ", ".join(repr(each.replace("_", "-")) for each in (*_OPTIONS, *_THEIR_OPTIONS))
        raise errors.UsageError(f"opts has {name!r}: there are {known}")
    return found
