"""How do an app's arguments travel when the program has registered serialisers with Parsl?"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from parsl.serialize import serialize
from parsl.serialize.facade import methods_for_data

from vine.client.python_tasks import name_of
from vine.errors import NotSerialisable

_AS_IT_COMES = tuple(methods_for_data)  # What Parsl has registered itself; ours does as well, and faster.
_REMEMBERED_MAX = 100  # Programs have few apps; functions that are made for one call must not pile up.


class Packing:
    """Remembers the last functions that unpack, so that each is sent once."""

    def __init__(self) -> None:
        self._unpacking = functools.lru_cache(_REMEMBERED_MAX)(_unpacking)

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
        # Others may be changed by whoever has them, or be equal and not the same.
        unchanging = isinstance(func, types.FunctionType)
        return (self._unpacking if unchanging else _unpacking)(func), packed, {}


def _unpacking(func: Callable[..., Any]) -> Callable[..., Any]:
    def unpacking(args: bytes, kwargs: bytes) -> Any:
        from parsl.serialize import deserialize

        return func(*deserialize(args), **deserialize(kwargs))

    unpacking.__name__ = unpacking.__qualname__ = name_of(func)
    unpacking.__module__ = "__main__"  # It travels as code: workers need not have us.
    return unpacking
