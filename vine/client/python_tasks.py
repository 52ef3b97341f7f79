"""How does a function call become a task of its own, with a fresh interpreter?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vine import errors
from vine.client import futures
from vine.client.files import File, cache_level
from vine.client.tasks import Task
from vine.names import TaskId
from vine.wire.parts import TaskKind, TaskResult, TaskSpec
from vine_function_host.payload import LEFT, LEFT_AS_IT_IS, RESULT_FILE

if TYPE_CHECKING:
    from vine.client.manager import Manager

PythonTaskNoResult = BaseException  # What TaskVine's users ask whether `output` is one: it is, without a result.


class PythonTask(Task):
    """A function call in a fresh interpreter, that of its environment if it has one."""

    _kind = TaskKind.PYTHON

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if not callable(function):
            raise errors.UsageError(f"a PythonTask needs a function, not {function!r}")
        self.name = name_of(function)
        self._call = (function, args, kwargs)
        self._value: Any = None
        self._as_file = False
        self._serialised = True
        self._cache: str | bool = True
        self._output_file: File | None = None
        super().__init__(self.name)

    # --- before submission ---

    def enable_temp_output(self) -> None:
        """The result stays on workers as `output_file`, a temporary file that other tasks take as an input.

        It holds a pickle (by dill, where pickle cannot): `pickle.load(open(name, "rb"))` reads it in the task that
        has it as `name`, and `Manager.fetch_file(task.output_file)` brings its bytes here.
        """
        self._as_file = True

    def disable_temp_output(self) -> None:
        """The result comes back as `output`, as it does unless told otherwise."""
        self._as_file = False

    def set_output_cache(self, cache: str | bool = False) -> None:
        """How long workers keep the `output_file` of `enable_temp_output`: a cache level, as for `declare_temp`."""
        cache_level(cache)
        self._cache = cache

    def disable_output_serialization(self) -> None:
        """With `enable_temp_output`: the function returns bytes, and the file holds them as they are."""
        self._serialised = False

    # --- after it ---

    @property
    def output_file(self) -> File | None:
        """The file of a result that stays on workers, once the task is submitted; None without `enable_temp_output`."""
        return self._output_file

    @property
    def output(self) -> Any:
        """What the function returned, or the exception that it, or its task, ended with.

        UsageError after `enable_temp_output`: the result is in `output_file`.
        """
        self._ended()
        if self._output_file is not None and self.error is None:
            raise errors.UsageError(f"the result of {self!r} is on workers: fetch_file(task.output_file) brings it")
        return self._value if self.error is None else self.error

    def _take(self, value: bytes | memoryview | None, result: TaskResult) -> None:
        self._value, self.error = futures.read_outcome(result, value)

    def _spec(self, manager: Manager, task_id: TaskId) -> TaskSpec:
        function, args, kwargs = self._call
        arguments = self._arguments(manager, args, kwargs)
        declared = manager.declare_function(function)
        return self._common(manager, task_id, kind=self._kind, function=declared, label=self.name, **arguments)

    def _arguments(self, manager: Manager, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """What the task's description has of its arguments: bytes, tasks whose results they take, files they share."""
        payload, self.links = manager.calls.dump(args, kwargs, self.name)
        links = self.links
        if links is not None and links.awaited:
            raise errors.UsageError(
                f"'{self.name}' is given a future from outside this run that is not done: pass its result() instead"
            )
        if self._as_file:
            self._output_file = manager.declare_temp(self._cache)
            self.add_output(self._output_file, RESULT_FILE)
            payload = (LEFT if self._serialised else LEFT_AS_IT_IS) + payload
        if links is None:
            return {"payload": payload}
        shared = manager.calls.shared_files(links.shared or [])
        return {"payload": payload, "depends": links.depends, "shared": shared}

    def _label(self) -> str:
        return self.name

    def _function_name(self) -> str | None:
        return f"'{self.name}'"


def name_of(function: Callable[..., Any]) -> str:
    """What messages call a function."""
    name = str(getattr(function, "__qualname__", None) or type(function).__qualname__)
    short = getattr(function, "__name__", None)
    if isinstance(short, str) and "<locals>." in name and name.rpartition(".")[2] != short:
        name = short  # A wrapper that has the name of what it wraps, but no qualified one: Parsl's of bash apps.
    return name[:200]
