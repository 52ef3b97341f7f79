"""What does a function that is sent by value look up, and is all of that still what it was when it was sent?

In an interactive session functions outlive the names that they use: a helper or a constant is defined anew in a
later cell. What is bound anew is seen; what is changed in place is not.
"""

from __future__ import annotations

import dis
import functools
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

_MISSING = object()  # A name that is not bound, or an empty cell.
_LOOKUPS = ("LOAD_GLOBAL", "LOAD_NAME")

Reader = Callable[[], Any]


class Bindings:
    """The global names and closure cells that a function uses, also by way of others that travel with it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._seen: list[tuple[Reader, Reader]] = []  # how to read a binding now, and what it was
        self._known: set[int] = set()
        self._take(function)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._seen)

    def unchanged(self) -> bool:
        return all(now() is was() for now, was in self._seen)

    def _take(self, value: Any) -> None:
        if id(value) in self._known or not (goes_by_value(value) or isinstance(value, functools.partial)):
            return
        self._known.add(id(value))
        if isinstance(value, functools.partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                self._take(part)
            return
        for function in _functions_of(value):
            for name in _global_names(function.__code__):
                self._note(_global_reader(function.__globals__, name))
            for cell in function.__closure__ or ():
                self._note(_cell_reader(cell))

    def _note(self, now: Reader) -> None:
        value = now()
        self._seen.append((now, _kept(value)))
        self._take(value)


def goes_by_value(value: Any) -> bool:
    """Functions and classes that nobody can import: those of `__main__`, and those made inside of functions."""
    if not isinstance(value, (types.FunctionType, type)):
        return False
    return value.__module__ == "__main__" or "<" in value.__qualname__


def _functions_of(value: Any) -> Iterator[types.FunctionType]:
    if isinstance(value, types.FunctionType):
        yield value
        return
    members = [member for kind in value.__mro__ if goes_by_value(kind) for member in vars(kind).values()]
    for member in members:
        plain = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if isinstance(plain, types.FunctionType):
            yield plain


def _global_names(code: types.CodeType) -> set[str]:
    names = {step.argval for step in dis.get_instructions(code) if step.opname in _LOOKUPS}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _global_reader(names: dict[str, Any], name: str) -> Reader:
    return lambda: names.get(name, _MISSING)


def _cell_reader(cell: types.CellType) -> Reader:
    def read() -> Any:
        try:
            return cell.cell_contents
        except ValueError:
            return _MISSING

    return read


def _kept(value: Any) -> Reader:
    """What it was, without keeping it alive where that can be: else a function that calls itself would never go."""
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value
