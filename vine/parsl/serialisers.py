"""How do an app's arguments travel when the program has registered serialisers with Parsl?"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from parsl.serialize import serialize
from parsl.serialize.facade import methods_for_data

from vine.client.python_tasks import name_of
from vine.errors import NotSerialisable

_AS_IT_COMES = tuple(methods_for_data)  # What Parsl has registered itself; ours does as well, and faster.


class Packing:
    """Remembers the functions that unpack, so that each is sent once."""

    def __init__(self) -> None:
        self._unpacking: weakref.WeakKeyDictionary[Callable[..., Any], Callable[..., Any]] = weakref.WeakKeyDictionary()

    def packed(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """The same call, its arguments as bytes of Parsl's making if the program has any say in that."""
        if tuple(methods_for_data) == _AS_IT_COMES:
            return func, args, kwargs
        try:
            packed = serialize(args), serialize(kwargs)
        except Exception as why:
            raise NotSerialisable(
                f"the arguments of '{name_of(func)}' cannot be serialised by what is registered with Parsl "
                f"({type(why).__name__}: {why})"
            ) from why
        unpacking = self._unpacking.get(func)
        if unpacking is None:
            unpacking = self._unpacking[func] = _unpacking(func, name_of(func))
        return unpacking, packed, {}


def _unpacking(func: Callable[..., Any], name: str) -> Callable[..., Any]:
    def unpacking(args: bytes, kwargs: bytes) -> Any:
        from parsl.serialize import deserialize

        return func(*deserialize(args), **deserialize(kwargs))

    unpacking.__name__ = unpacking.__qualname__ = name
    unpacking.__module__ = "__main__"  # It travels as code: workers need not have us.
    return unpacking
