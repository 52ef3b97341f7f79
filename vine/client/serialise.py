"""How do functions, arguments and results become bytes, and bytes become them again?

Serialised is: one byte that names the format, then the pickle. Pickle goes first; dill carries what
lives in `__main__` or cannot be imported by name. What is not in the pickle is noted in `Links`, in the same pass:
an object is pickled twice only if pickle meets what dill must carry somewhere inside of the arguments.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vine.client.bindings import goes_by_value
from vine.client.links import PROTOCOL, Alone, ForeignFailed, Links, Taker, pickling
from vine.client.registered import LOADED, loaded, registry
from vine.errors import DependencyFailed, MalformedMessage, NotSerialisable
from vine.names import TaskId
from vine_function_host import buffers
from vine_function_host.payload import DILL, PICKLE, body_of

if TYPE_CHECKING:
    import dill

    from vine.client.shared import Shared


def dump(value: object, links: Alone | None = None) -> bytes:
    """Serialise a function or value that holds no futures; raises what the last serialiser raised."""
    return _dump_linked(value, links or Alone(), by_dill=False)


def dump_function(function: Callable[..., Any], label: str) -> bytes:
    try:
        return dump(function)
    except Exception as error:
        raise NotSerialisable(
            f"function '{label}' cannot be serialised by pickle or dill ({_in_one_line(error)}): "
            "make what it refers to inside of it, or pass it as an argument"
        ) from error


def dump_call(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    label: str,
    task_of: Taker,
    placed: Sequence[Shared] = (),
    head: bytes = b"",
) -> tuple[bytes, Links | None]:
    """The payload of a call and what belongs to it; with `links.awaited`, call again when those are done.

    Those of its arguments that are shared values may be `placed`: then `head` says where, and they are not in `args`.
    """
    if _BARE.issuperset(map(type, args)) and (not kwargs or _BARE.issuperset(map(type, kwargs.values()))):
        data = pickle.dumps((args, kwargs), PROTOCOL)
        if b"__main__" not in data:  # As in `_dump_linked`.
            return head + PICKLE + data, Links(task_of, placed, [*placed]) if placed else None
    outer, pickling.links = pickling.links, (links := Links(task_of, placed, [*placed] or None))
    try:
        by_dill = False
        for value in args:
            by_dill = by_dill or (type(value) not in _PLAIN and goes_by_dill(value))
        data = _dump_linked((args, kwargs), links, by_dill)
    except (ForeignFailed, NotSerialisable):
        raise
    except Exception as error:
        every = list(args)
        for position, shared in zip(head[2::2], placed, strict=True):
            every.insert(position, shared)
        raise NotSerialisable(_blame(every, kwargs, label, error)) from error
    finally:
        pickling.links = outer
    return head + data, links if links.any() else None


def load(data: bytes | memoryview) -> Any:
    """What `dump`, or a function host, made bytes of; runs whatever the pickle says."""
    mark, memory = data[:1], None
    if mark == buffers.BUFFERS:
        data, memory = buffers.opened(memoryview(data))
        mark = data[:1]
    if mark == PICKLE:
        return _unpickled(body_of(data), memory)
    if mark == DILL[:1]:
        return _own_unpickler()(io.BytesIO(body_of(data)), buffers=memory).load()
    raise MalformedMessage(f"a value in the unknown format {mark!r}: client and worker are of different versions")


_BARE = frozenset({bool, bytes, float, int, str, type(None)})  # There is nothing inside of them to look for.
_PLAIN = _BARE | {dict, list, set, tuple}


def goes_by_dill(value: object) -> bool:
    """Whether it is known without a look inside that pickle cannot carry it."""
    if isinstance(value, (types.FunctionType, type)):
        return goes_by_value(value)
    return type(value).__module__ == "__main__" and registry.of(type(value)) is None


def _dump_linked(value: object, links: Links, by_dill: bool) -> bytes:
    if not by_dill:
        try:
            data = (_pickled if registry.entries else pickle.dumps)(value, PROTOCOL, buffer_callback=links.take)
            if b"__main__" not in data:  # By reference to the client's own script, which hosts do not have.
                return PICKLE + data
        except (ForeignFailed, NotSerialisable):
            raise
        except Exception:  # noqa: BLE001, S110 - picklers raise anything; dill's word is the one that counts
            pass
        links.clear()
    return DILL + _dump_with_dill(value, links)


class _RegisteredPickler(pickle.Pickler):
    """Asks for a registered serialiser before pickle's own way."""

    def reducer_override(self, value: object) -> Any:
        return registry.reduce(value)


def _pickled(value: object, protocol: int, buffer_callback: Callable[[pickle.PickleBuffer], bool]) -> bytes:
    file = io.BytesIO()
    _RegisteredPickler(file, protocol, buffer_callback=buffer_callback).dump(value)
    return file.getvalue()


class _RegisteredUnpickler(pickle.Unpickler):
    """Knows what hosts call the function that stands before what a registered serialiser has dumped."""

    def find_class(self, module: str, name: str) -> Any:
        return loaded if (module, name) in LOADED else super().find_class(module, name)


def _unpickled(body: memoryview, memory: list[memoryview] | None) -> Any:
    if registry.entries:
        return _RegisteredUnpickler(io.BytesIO(body), buffers=memory).load()
    return pickle.loads(body, buffers=memory)


def _dump_with_dill(value: object, links: Links) -> bytes:
    import dill  # Costs more to import than all of this package, and most runs never need it.

    file = io.BytesIO()
    # `recurse` takes the globals that a function names, and not the whole of its module.
    pickler = dill.Pickler(file, PROTOCOL, byref=False, recurse=True, buffer_callback=links.take)
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
                if (module, name) in LOADED:
                    return loaded
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


def _blame(args: Sequence[Any], kwargs: dict[str, Any], label: str, error: Exception) -> str:
    named = [(f"argument {place}", value) for place, value in enumerate(args, 1)]
    named += [(f"argument '{name}'", value) for name, value in kwargs.items()]
    for name, value in named:
        try:
            _dump_linked(value, Links(lambda future: TaskId(0)), goes_by_dill(value))
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
