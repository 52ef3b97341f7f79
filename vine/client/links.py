"""What of a call's arguments is not in their pickle: other tasks' results, shared values, large memory.

A future among the arguments becomes a reference to its task's place in `depends`, if the task is of the same run.
Any other future is replaced by its value, which the caller waits for. A value that is shared becomes a reference to
its file's place in `shared`. Memory that is large, as of arrays, stays where it lies, to be written from there.
"""

from __future__ import annotations

import copyreg
import importlib
import io
import operator
import pickle
import sys
import threading
import types
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import msgspec

from vine import config
from vine.client.registered import registry
from vine.names import TaskId
from vine_function_host.standins import result_at, shared_at

if TYPE_CHECKING:
    from vine.client.shared import Shared

PROTOCOL = 5  # Every Python that we run on reads it, so environments of other versions do too.
_STANDARD_STREAMS = ("<stdin>", "<stdout>", "<stderr>")

Taker = Callable[["Future[Any]"], "TaskId | None"]  # the task behind a future of this run, else None


class ForeignFailed(Exception):  # noqa: N818 - never leaves this package
    """A future from outside the run, whose value an argument needs, has failed."""


def _nobodys(future: Future[Any]) -> None:
    """Futures of no run."""


class Links(msgspec.Struct, gc=False):
    """What one call's arguments hold that is not in their pickle: futures, shared values, large memory.

    One is made for each call with a shared value: this kind of class is made fastest.
    """

    task_of: Taker = _nobodys
    placed: Sequence[Shared] = ()  # are arguments themselves
    shared: list[Shared] | None = None  # those that are placed, then others; what most calls do not have is None
    places: dict[TaskId, int] | None = None
    awaited: list[Future[Any]] | None = None  # from elsewhere, and not done yet
    memory: list[memoryview] | None = None

    @property
    def depends(self) -> tuple[TaskId, ...]:
        return () if self.places is None else tuple(self.places)

    def any(self) -> bool:
        has_futures = self.places is not None or self.awaited is not None
        return has_futures or self.shared is not None or self.memory is not None

    def clear(self) -> None:
        self.places = self.awaited = self.memory = None
        self.shared = [*self.placed] or None

    def take(self, buffer: pickle.PickleBuffer) -> bool:
        """A pickler's `buffer_callback`; true for what goes into the pickle after all."""
        view = buffer.raw()
        if view.nbytes <= config.inline_bytes_max:
            return True
        if self.memory is None:
            self.memory = []
        self.memory.append(view)
        return False

    def place_of(self, shared: Shared) -> Any:
        """What is pickled in a shared value's place."""
        if self.shared is None:
            self.shared = []
        # One that is placed as well has a second place: so a host sees by their number that there are more than those.
        placed = len(self.placed)
        if shared not in self.shared[placed:]:
            self.shared.append(shared)
        return shared_at, (self.shared.index(shared, placed), shared.immutable)

    def reduced(self, future: Future[Any]) -> Any:
        """What is pickled in a future's place: an expression that any interpreter can evaluate, or a reference."""
        task_id = self.task_of(future)
        if task_id is not None:
            if self.places is None:
                self.places = {}
            return result_at, (self.places.setdefault(task_id, len(self.places)),)
        if not future.done():
            if self.awaited is None:
                self.awaited = []
            self.awaited.append(future)
            return str, ()  # In a pickle that is thrown away because it is made again later.
        if future.cancelled() or future.exception() is not None:
            cause = None if future.cancelled() else future.exception()
            raise ForeignFailed(repr(future)) from cause
        return operator.getitem, ([future.result()], 0)

    def reduce(self, value: object) -> Any:
        """A pickler's `reducer_override`."""
        return self.reduced(value) if isinstance(value, Future) else reduce_value(value)


class Alone(Links, gc=False):
    """Of a function or a value that is no call's argument: it can hold no futures."""

    apart: bool = False  # Large memory stays where it lies.

    def take(self, buffer: pickle.PickleBuffer) -> bool:
        return super().take(buffer) if self.apart else True

    def reduce(self, value: object) -> Any:
        return reduce_value(value)


class _Pickling(threading.local):
    links: Links | None = None  # of the call whose arguments this thread serialises


pickling = _Pickling()


def reduced_future(future: Future[Any]) -> Any:
    """A future's `__reduce__`, which works while the arguments of a call are serialised."""
    if pickling.links is not None:
        return pickling.links.reduced(future)
    if type(future) is Future:
        return future.__reduce_ex__(PROTOCOL)
    raise TypeError("a future can only be sent as an argument of a call in its own run")


copyreg.pickle(Future, reduced_future)


def reduced_shared(shared: Shared) -> Any:
    """A shared value's `__reduce__`, which works while the arguments of a call are serialised."""
    if pickling.links is not None:
        return pickling.links.place_of(shared)
    raise TypeError("a shared value can only be sent as an argument of a call")


def refuse_open_files(value: object) -> Any:
    """A pickler's `reducer_override`: dill would open them by name where it loads them, or hand out empty ones.

    Modules go by their names: dill would send along whatever is in those that are not installed in the usual place.
    """
    if isinstance(value, types.ModuleType) and value.__name__ != "__main__":
        return importlib.import_module, (value.__name__,)
    if isinstance(value, (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)):
        standard = (sys.stdin, sys.stdout, sys.stderr)
        if getattr(value, "name", None) not in _STANDARD_STREAMS and not any(value is one for one in standard):
            raise TypeError("an open file stays in its program: pass its name, and open it in the function")
    return NotImplemented


def reduce_value(value: object) -> Any:
    """What a registered serialiser makes of a value, if it has one."""
    reduced = registry.reduce(value)
    return refuse_open_files(value) if reduced is NotImplemented else reduced
