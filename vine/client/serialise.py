"""How do functions, arguments and results become bytes, and bytes become them again?

Serialised is: one byte that names the format, then the pickle. Pickle goes first; dill carries what
lives in `__main__` or cannot be imported by name. A future among the arguments becomes a reference to
its task's place in `depends`, if the task is of the same run. Any other future is replaced by its value,
which the caller waits for.
"""

from __future__ import annotations

import io
import operator
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from vine.errors import DependencyFailed, MalformedMessage, NotSerialisable
from vine.names import TaskId

if TYPE_CHECKING:
    import dill

_PICKLE = b"P"
_DILL = b"D"
_PROTOCOL = 5  # Every Python that we run on reads it, so environments of other versions do too.
_RESULT = "vine.result"  # The persistent id that function hosts resolve.
_STANDARD_STREAMS = ("<stdin>", "<stdout>", "<stderr>")
_AWAITED = "vine.awaited"  # In a pickle that is thrown away because it is made again later.

Taker = Callable[["Future[Any]"], "TaskId | None"]  # the task behind a future of this run, else None


class ForeignFailed(Exception):  # noqa: N818 - never leaves this package
    """A future from outside the run, whose value an argument needs, has failed."""


class Links:
    """The futures that one call's arguments hold."""

    def __init__(self, task_of: Taker) -> None:
        self._task_of = task_of
        self._places: dict[TaskId, int] = {}
        self.awaited: list[Future[Any]] = []  # from elsewhere, and not done yet

    @property
    def depends(self) -> tuple[TaskId, ...]:
        return tuple(self._places)

    def persistent_id(self, value: object) -> tuple[str, int] | None:
        if not isinstance(value, Future):
            return None
        task_id = self._task_of(value)
        if task_id is not None:
            return _RESULT, self._places.setdefault(task_id, len(self._places))
        if value.done():
            return None  # `reduce` puts its value there.
        self.awaited.append(value)
        return _AWAITED, len(self.awaited) - 1

    def reduce(self, value: object) -> Any:
        if not isinstance(value, Future):
            return refuse_open_files(value)
        if value.cancelled() or value.exception() is not None:
            cause = None if value.cancelled() else value.exception()
            raise ForeignFailed(repr(value)) from cause
        return operator.getitem, ([value.result()], 0)  # An expression that any interpreter can evaluate.


def refuse_open_files(value: object) -> Any:
    """A pickler's `reducer_override`: dill would open them by name where it loads them, or hand out empty ones."""
    if isinstance(value, (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)):
        standard = (sys.stdin, sys.stdout, sys.stderr)
        if getattr(value, "name", None) not in _STANDARD_STREAMS and not any(value is one for one in standard):
            raise TypeError("an open file stays in its program: pass its name, and open it in the function")
    return NotImplemented


class _CallPickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, links: Links) -> None:
        super().__init__(file, _PROTOCOL)
        self._links = links

    def persistent_id(self, value: object) -> tuple[str, int] | None:
        return self._links.persistent_id(value)

    def reducer_override(self, value: object) -> Any:
        return self._links.reduce(value)


def dump(value: object) -> bytes:
    """Serialise a function or value that holds no futures; raises what the last serialiser raised."""
    try:
        data = pickle.dumps(value, _PROTOCOL)
    except Exception:  # noqa: BLE001 - picklers raise anything; dill's word is the one that counts
        return _DILL + _dump_with_dill(value, None)
    if b"__main__" in data:  # By reference to the client's own script, which hosts do not have.
        return _DILL + _dump_with_dill(value, None)
    return _PICKLE + data


def dump_function(function: Callable[..., Any], label: str) -> bytes:
    try:
        return dump(function)
    except Exception as error:
        raise NotSerialisable(
            f"function '{label}' cannot be serialised by pickle or dill ({_in_one_line(error)}): "
            "make what it refers to inside of it, or pass it as an argument"
        ) from error


def dump_call(args: tuple[Any, ...], kwargs: dict[str, Any], label: str, task_of: Taker) -> tuple[bytes, Links | None]:
    """The payload of a call and the futures in it; with `links.awaited`, call again when those are done."""
    try:
        data = pickle.dumps((args, kwargs), _PROTOCOL)
        if b"__main__" not in data:
            return _PICKLE + data, None
    except Exception:  # noqa: BLE001, S110 - a future, or what needs dill: the careful way tells
        pass
    links = Links(task_of)
    try:
        return _dump_linked((args, kwargs), links), links
    except ForeignFailed:
        raise
    except Exception as error:
        raise NotSerialisable(_blame(args, kwargs, label, error)) from error


def load(data: bytes) -> Any:
    """What `dump`, or a function host, made bytes of; runs whatever the pickle says."""
    mark, body = data[:1], memoryview(data)[1:]
    if mark == _PICKLE:
        return pickle.loads(body)
    if mark == _DILL:
        return _own_unpickler()(io.BytesIO(body)).load()
    raise MalformedMessage(f"a value in the unknown format {mark!r}: client and worker are of different versions")


def _dump_linked(value: object, links: Links) -> bytes:
    file = io.BytesIO()
    try:
        _CallPickler(file, links).dump(value)
        data = file.getvalue()
        if b"__main__" not in data:
            return _PICKLE + data
    except ForeignFailed:
        raise
    except Exception:  # noqa: BLE001, S110 - picklers raise anything; dill's word is the one that counts
        pass
    links.awaited.clear()
    return _DILL + _dump_with_dill(value, links)


def _dump_with_dill(value: object, links: Links | None) -> bytes:
    import dill  # Costs more to import than all of this package, and most runs never need it.

    file = io.BytesIO()
    # `recurse` takes the globals that a function names, and not the whole of its module.
    pickler = dill.Pickler(file, _PROTOCOL, byref=False, recurse=True)
    pickler.reducer_override = refuse_open_files
    if links is not None:
        pickler.persistent_id = links.persistent_id
        pickler.reducer_override = links.reduce
    pickler.dump(value)
    return file.getvalue()


_unpickler: type[dill.Unpickler] | None = None


def _own_unpickler() -> type[dill.Unpickler]:
    """dill's unpickler, but classes of our own `__main__` stay themselves when they come home."""
    global _unpickler
    if _unpickler is None:
        import dill

        class Unpickler(dill.Unpickler):  # type: ignore[misc]
            def find_class(self, module: str, name: str) -> Any:
                found = super().find_class(module, name)
                return _class_maker(found) if name == "_create_type" else found

        _unpickler = Unpickler
    return _unpickler


def _class_maker(create: Callable[..., type]) -> Callable[..., type]:
    def make(meta: Any, *parts: Any) -> type:
        if len(parts) == 3 and parts[2].get("__module__") == "__main__":
            ours = getattr(sys.modules["__main__"], parts[0], None)
            bases = [base.__name__ for base in parts[1]]
            if (
                isinstance(ours, type)
                and ours.__qualname__ == parts[0]
                and [b.__name__ for b in ours.__bases__] == bases
            ):
                return ours
        return create(meta, *parts)

    return make


def _blame(args: tuple[Any, ...], kwargs: dict[str, Any], label: str, error: Exception) -> str:
    named = [(f"argument {place}", value) for place, value in enumerate(args, 1)]
    named += [(f"argument '{name}'", value) for name, value in kwargs.items()]
    for name, value in named:
        try:
            _dump_linked(value, Links(lambda future: TaskId(0)))
        except Exception as cause:  # noqa: BLE001 - as above
            return (
                f"{name} of '{label}' (a {type(value).__name__}) cannot be serialised by pickle or dill "
                f"({_in_one_line(cause)}): pass plain data, or make the object inside the function"
            )
    return f"the arguments of '{label}' cannot be serialised by pickle or dill ({_in_one_line(error)}): pass plain data"


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def foreign_failure(label: str, failed: ForeignFailed) -> DependencyFailed:
    """The error of a call that takes the value of a failed future from outside the run."""
    error = DependencyFailed(f"'{label}' takes the result of {failed}, which failed: look at its exception")
    error.__cause__ = failed.__cause__
    return error
