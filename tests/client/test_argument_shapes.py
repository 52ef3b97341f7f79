"""Are arguments of any shape on a function host what they were here: from the client's serialiser to the host's?"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from vine.client import serialise
from vine.client.links import Links, reduced_future
from vine.names import TaskId
from vine_function_host.frames import INLINE
from vine_function_host.serialiser import Serialiser


def power(base: int, exponent: int) -> int:
    return base**exponent


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any


class Pair(NamedTuple):
    first: Any
    second: Any


class Slotted:
    """An object without a dictionary of its own."""

    __slots__ = ("inside",)

    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and bool(self.inside == other.inside)

    def __hash__(self) -> int:
        return hash(Slotted)


class Placeholder(Future[Any]):
    """A future of the run, with the value that its task will have."""

    def __init__(self, number: int, value: object) -> None:
        super().__init__()
        self.number = number
        self.value = value

    def __reduce__(self) -> Any:
        return reduced_future(self)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == other)

    def __hash__(self) -> int:
        return id(self)


def task_of(future: Future[Any]) -> TaskId | None:
    return TaskId(future.number) if isinstance(future, Placeholder) else None


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.uuids()
    | st.sampled_from([int, len, ValueError, power])
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)

HASHABLE = st.recursive(PLAIN, lambda inner: st.tuples(inner, inner) | st.frozensets(inner), max_leaves=4)


def shapes(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(), inner)
            | st.frozensets(PLAIN)
            | st.sets(PLAIN)
            | st.lists(inner).map(deque)
            | st.dictionaries(st.text(), inner).map(OrderedDict)
            | st.builds(Point, inner, inner)
            | st.builds(Pair, inner, inner)
            | st.builds(Slotted, inner)
            | st.builds(SimpleNamespace, inside=inner)
        ),
        max_leaves=10,
    )


@st.composite
def calls(draw: st.DrawFn) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call; futures of one task have one value."""
    of_tasks = draw(st.lists(VALUES, min_size=5, max_size=5))
    futures = st.integers(0, 4).map(lambda place: Placeholder(place + 1, of_tasks[place]))
    shape = shapes(PLAIN | futures)
    return tuple(draw(st.lists(shape, max_size=4))), draw(st.dictionaries(st.text(), shape, max_size=3))


def on_the_host(payload: bytes, links: Links | None, values: dict[TaskId, object]) -> Any:
    depends = () if links is None else links.depends
    blobs = [payload, *(serialise.dump(values[task_id]) for task_id in depends)]
    return Serialiser(None).arguments([(INLINE, blob) for blob in blobs])


def futures_in(value: Any) -> Iterator[Placeholder]:
    if isinstance(value, Placeholder):
        yield value
    elif isinstance(value, dict):
        yield from futures_in(list(value.values()))
    elif isinstance(value, Point):
        yield from futures_in([value.x, value.y])
    elif isinstance(value, Slotted | SimpleNamespace):
        yield from futures_in(value.inside)
    elif isinstance(value, list | tuple | deque):
        for item in value:
            yield from futures_in(item)


@given(call=calls(), by_dill=st.booleans())
def test_arguments_of_any_shape_are_on_the_host_what_they_were_with_values_in_the_place_of_futures(
    call: tuple[tuple[Any, ...], dict[str, Any]], by_dill: bool
) -> None:
    args, kwargs = call
    found = list(futures_in([*args, *kwargs.values()]))
    sent = (*args, lambda: "only dill carries this") if by_dill else args
    payload, links = serialise.dump_call(sent, kwargs, "f", task_of)
    assert payload[:1] == (b"D" if by_dill else b"P")
    assert (set() if links is None else set(links.depends)) == {task_of(future) for future in found}
    mark, args_there, kwargs_there = on_the_host(payload, links, {TaskId(f.number): f.value for f in found})
    if by_dill:
        *args_there, function = args_there
        assert function() == "only dill carries this"
    assert (mark, list(args), kwargs) == (b"", list(args_there), kwargs_there)


@given(values=st.sets(HASHABLE, min_size=1, max_size=4), plain=st.frozensets(PLAIN, max_size=2))
def test_futures_in_sets_and_as_keys_are_their_values_there(values: set[Any], plain: frozenset[Any]) -> None:
    futures = [Placeholder(number, value) for number, value in enumerate(values, 1)]
    named = {future: future for future in futures}
    payload, links = serialise.dump_call((set(futures) | plain, frozenset(futures)), {"k": named}, "f", task_of)
    _, (mixed, frozen), kwargs = on_the_host(payload, links, {TaskId(f.number): f.value for f in futures})
    assert mixed == values | plain
    assert frozen == values
    assert kwargs == {"k": {value: value for value in values}}


@given(value=VALUES, copies=st.integers(1, 4))
def test_what_is_one_object_here_is_one_object_there(value: Any, copies: int) -> None:
    one = [value]
    future = Placeholder(1, [value])
    payload, links = serialise.dump_call((one, *[one] * copies, future, {"deep": future}), {"k": one}, "f", task_of)
    _, args, kwargs = on_the_host(payload, links, {TaskId(1): future.value})
    *ones, value_there, deep = args
    assert all(item is ones[0] for item in [*ones, kwargs["k"]])
    assert ones[0] == one
    assert value_there is deep["deep"]
