"""How do values of types travel for which the user has registered a serialiser: it came along with the function.

Types are known by their names: whoever has none of a type's module needs none of its serialiser.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from vine_function_host.words import safe_words

if TYPE_CHECKING:
    from collections.abc import Callable

# The function that stands in pickles before what a `dump` returned: as clients call it, and as we do below.
LOADED = (("vine.client.registered", "loaded"), ("vine_function_host.registered", "loaded"))


class UnsendableError(Exception):
    """A value that stays where it is; the words are for its author."""


def loaded(number: int, dumped: Any) -> Any:
    """Stands in what we pickle; whoever unpickles it puts a function of their own in its place."""
    raise AssertionError(f"serialiser {number} is not here, to load a {type(dumped).__name__}")


class Registered:
    """The serialisers that one function came with; each is loaded when a value first needs it."""

    def __init__(self, content: bytes, load: Callable[[bytes], Any]) -> None:
        self._load = load
        entries = pickle.loads(content)  # of the client's own making: numbers, names and bytes
        self._by_number = {number: (f"{name[0]}.{name[1]}", dump, load) for number, name, dump, load in entries}
        self._by_name = {name: number for number, name, _, _ in entries}  # of two for a type, the latter
        self._by_type: dict[type, int | None] = {}
        self._functions: dict[bytes, Callable[[Any], Any]] = {}

    def reduce(self, value: Any) -> Any:
        """A pickler's `reducer_override`."""
        kind = type(value)
        if kind not in self._by_type:
            names = ((each.__module__, each.__qualname__) for each in kind.__mro__)
            self._by_type[kind] = next((self._by_name[name] for name in names if name in self._by_name), None)
        number = self._by_type[kind]
        if number is None:
            return NotImplemented
        name, dump, _ = self._by_number[number]
        return loaded, (number, self._called(name, "dump", dump, value))

    def loaded(self, number: int, dumped: Any) -> Any:
        """The value of which a `dump` has made this."""
        if number not in self._by_number:
            raise UnsendableError("a value's serialiser was registered after this call had been submitted")
        name, _, load = self._by_number[number]
        return self._called(name, "load", load, dumped)

    def _called(self, name: str, what: str, content: bytes, value: Any) -> Any:
        try:
            function = self._functions.get(content)
            if function is None:
                function = self._functions[content] = self._load(content)
            return function(value)
        except UnsendableError:
            raise  # of a value within this one
        except Exception as why:
            message = f"the serialiser registered for '{name}' failed in its {what} ({safe_words(why)})"
            raise UnsendableError(message) from why
