"""How do values of the user's own types travel: with serialisers that are registered, before pickle is asked.

What a `dump` returns is serialised like everything else: plain data, containers of it, other registered values, and
memory as `pickle.PickleBuffer`, which goes beside the pickle without a copy where it is large. The serialisers
travel with each function (see `calls.py`), by content, and serve its results too.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from vine import errors
from vine_function_host.payload import with_serialisers

T = TypeVar("T")
# The function that stands in pickles before what a `dump` returned: as hosts call it, and as we do below.
LOADED = (("vine_function_host.registered", "loaded"), ("vine.client.registered", "loaded"))
_KINDS_REMEMBERED = 4096  # types of values of which it is known whether they have a serialiser
# Pickle asks nobody about these.
_BUILT_IN = (bool, bytearray, bytes, complex, dict, float, frozenset, int, list, set, str, tuple, type(None))
_REFUSED = frozenset({*_BUILT_IN, Future, object, pickle.PickleBuffer, type})


class Entry(NamedTuple):
    number: int
    type_name: tuple[str, str]  # module and qualified name
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]
    dump_bytes: bytes
    load_bytes: bytes

    @property
    def label(self) -> str:
        return ".".join(self.type_name)


class Registry:
    """All that has been registered, also what was replaced: results of earlier calls need that to be read."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.content = b""  # all of them, as they travel; nothing while there are none
        self._by_name: dict[tuple[str, str], Entry] = {}
        self._by_type: dict[type, Entry | None] = {}
        self._lock = threading.Lock()

    def add(self, kind: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
        name = (kind.__module__, kind.__qualname__)
        with self._lock:
            parts = [_serialised(function, what, kind) for function, what in ((dump, "dump"), (load, "load"))]
            entry = Entry(len(self.entries), name, dump, load, *parts)
            self._by_name[name] = entry
            self._by_type = {}
            self.entries = [*self.entries, entry]
            self.content = pickle.dumps([(e.number, e.type_name, e.dump_bytes, e.load_bytes) for e in self.entries], 4)

    def before(self, functions: bytes) -> bytes:
        """Serialised functions with all serialisers before them, if there are any."""
        return with_serialisers(self.content, functions)

    def of(self, kind: type) -> Entry | None:
        """The serialiser of a type, or of the nearest one that it is derived from."""
        try:
            return self._by_type[kind]
        except KeyError:
            names = ((each.__module__, each.__qualname__) for each in kind.__mro__)
            found = next((self._by_name[name] for name in names if name in self._by_name), None)
            if len(self._by_type) >= _KINDS_REMEMBERED:
                self._by_type = {}
            self._by_type[kind] = found
            return found

    def reduce(self, value: object) -> Any:
        """A pickler's `reducer_override`."""
        entry = self.of(type(value))
        if entry is None:
            return NotImplemented
        return loaded, (entry.number, _called(entry, "dump", entry.dump, value))


registry = Registry()


def register_serialiser(kind: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
    """Have values of a type, and of those derived from it, travel as what `dump` makes of them, and `load` undoes.

    Holds for arguments, also inside of containers, for results, and for what is shared, of all calls submitted from
    now on. What `dump` returns is pickled: large memory in a `pickle.PickleBuffer` goes without a copy, and `load` is
    given a memoryview of it there. Both functions are sent as functions of calls are; they need nothing of vine where
    calls run. The nearest type in a value's `__mro__` counts, and of one type the last registration.

    UsageError is raised for what is no class, or is one that pickle carries itself, such as a list; NotSerialisable
    if the functions cannot travel. One that raises where it is used ends its call with NotSerialisable.
    """
    if not isinstance(kind, type):
        raise errors.UsageError(f"{kind!r} is no class: name the type whose values are to travel so")
    if kind in _REFUSED:
        raise errors.UsageError(f"a serialiser for '{kind.__qualname__}' would never be asked: derive a class from it")
    for function in (dump, load):
        if not callable(function):
            raise errors.UsageError(f"{function!r} cannot be called: give a function that dumps, and one that loads")
    registry.add(kind, dump, load)


def loaded(number: int, dumped: Any) -> Any:
    """The value of which a `dump` has made this; raises NotSerialisable."""
    if not 0 <= number < len(registry.entries):
        raise errors.NotSerialisable("a value's serialiser is not registered in this process: register it here too")
    entry = registry.entries[number]
    return _called(entry, "load", entry.load, dumped)


def _called(entry: Entry, what: str, function: Callable[[Any], Any], value: Any) -> Any:
    try:
        return function(value)
    except errors.NotSerialisable:
        raise  # of a value within this one
    except Exception as why:
        said = " ".join(str(why).split())[:300]
        message = f"the serialiser registered for '{entry.label}' failed in its {what} ({type(why).__name__}: {said})"
        raise errors.NotSerialisable(message) from why


def _serialised(function: Callable[..., Any], what: str, kind: type) -> bytes:
    from vine.client.serialise import dump_function  # It asks us of every value.

    return dump_function(function, f"{what} of the serialiser for {kind.__qualname__}")
