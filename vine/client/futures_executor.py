"""What do TaskVine's users have for `Executor`: the same under its name, with its arguments and prepared calls?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from vine import errors
from vine.client import amounts, launch
from vine.client.executor import Executor
from vine.client.files import File
from vine.client.manager import Manager
from vine.client.tasks import Sized
from vine.factory_options import BatchType

T = TypeVar("T")

_FACTORY_OPTIONS = {
    "min-workers": "min_workers",
    "max-workers": "max_workers",
    "workers-per-cycle": "workers_per_cycle",
    "tasks-per-worker": "tasks_per_worker",
    "cores": "cores",
    "memory": "memory",
    "disk": "disk",
    "gpus": "gpus",
    "timeout": "idle_timeout",
}
_OPTION_OF = {"memory_mb": "memory", "disk_mb": "disk"}


class FuturePythonTask(Sized):
    """A call that is prepared before it is submitted: what `FuturesExecutor.future_task` returns."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.call = (function, args, kwargs)
        self._request: dict[str, float] = {}
        self._others: dict[str, Any] = {}

    def set_priority(self, priority: float) -> None:
        """Higher goes first."""
        self._others["priority"] = amounts.priority(priority)

    def set_retries(self, retries: int) -> None:
        """So many more tries after failures of its own."""
        self._others["retries"] = amounts.retries(retries)

    def set_time_max(self, seconds: float) -> None:
        """Killed when it runs longer."""
        self._others["time_limit"] = amounts.amount("seconds", seconds)

    def set_category(self, category: str) -> None:
        """What `Manager.set_category_...` say of it holds for the call."""
        self._others["category"] = amounts.name("category", category)

    def add_environment(self, environment: File) -> None:
        """Run on this environment."""
        self._others["environment"] = environment

    @property
    def options(self) -> dict[str, Any]:
        """What `Executor.options` is to be given for it."""
        return {_OPTION_OF.get(name, name): value for name, value in self._request.items()} | self._others


class FuturesExecutor(Executor):
    """An `Executor` that is made as TaskVine's is, and takes calls that were prepared by `future_task`.

    All else is as there: `submit`, `map`, `shutdown`, futures as arguments, `concurrent.futures.wait` and
    `as_completed`. It starts a manager, unless it is given one, and with `factory` workers of this `batch_type`.
    """

    def __init__(
        self,
        port: launch.Port = 0,
        batch_type: BatchType = "local",
        manager: Manager | None = None,
        manager_name: str | None = None,
        factory: bool = True,
        opts: Mapping[str, Any] | None = None,
    ) -> None:
        """`opts` are the factory's, by TaskVine's names; UsageError lists them, should there be another."""
        given = dict(opts or {})
        unknown = sorted(given.keys() - _FACTORY_OPTIONS)
        if unknown:
            known = ", ".join(map(repr, _FACTORY_OPTIONS))
            raise errors.UsageError(f"opts has {', '.join(map(repr, unknown))}: there are {known}")
        options: dict[str, Any] = {_FACTORY_OPTIONS[name]: value for name, value in given.items()}
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

    def future_task(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FuturePythonTask:
        """The call fn(*args, **kwargs), to be given resources and the like, and then to `submit`."""
        return FuturePythonTask(fn, *args, **kwargs)

    def submit(self, fn: Callable[..., T] | FuturePythonTask, /, *args: Any, **kwargs: Any) -> Future[T]:
        """As `Executor.submit`; or the future of a prepared call, which has its arguments."""
        if not isinstance(fn, FuturePythonTask):
            return super().submit(fn, *args, **kwargs)
        if args or kwargs:
            raise errors.UsageError("a prepared call has its arguments: give future_task() all of them")
        function, args, kwargs = fn.call
        return Executor.submit(self.options(**fn.options), function, *args, **kwargs)
