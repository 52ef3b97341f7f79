"""Types that serialisers are registered for, and functions that take and make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any


class Temperature:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


class Celsius(Temperature):
    pass


class Mean:
    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts


class Sealed:
    """What refuses to be pickled, and has a way of its own."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce__(self) -> NoReturn:
        raise TypeError("it is sealed")


def open_sealed(sealed: Sealed) -> Any:
    return sealed.content


def make_sealed(content: Any) -> Sealed:
    return Sealed(content)


def sealed_sum(first: Sealed, others: list[Any]) -> Sealed:
    return Sealed(first.content + sum(part.content for part in _flat(others)))


def _flat(others: list[Any]) -> list[Sealed]:
    return [part for each in others for part in (each.values() if isinstance(each, dict) else [each])]


def make_point(x: Any) -> Point:
    return Point(x, x)


def fail(value: Any) -> NoReturn:
    raise KeyError("why")


def loads_nowhere_else(value: Any) -> Any:
    raise ValueError("it was made elsewhere")
