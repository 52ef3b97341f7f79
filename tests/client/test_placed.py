"""Are shared values, as arguments themselves and anywhere inside of others, in their places on the host?"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vine
from vine.client import serialise
from vine.client.calls import Calls
from vine.client.shared import Shared
from vine.errors import NotSerialisable
from vine.names import TaskId
from vine_function_host import buffers
from vine_function_host.frames import INLINE
from vine_function_host.payload import LEFT, PLACED
from vine_function_host.serialiser import Serialiser

VALUES: tuple[Any, ...] = (b"fixed", ["changes"], ("fixed", 2))


class FakeSession:
    def check(self) -> None:
        """The run is not over."""


@pytest.fixture(scope="module")
def calls() -> Calls:
    session: Any = FakeSession()
    declarer: Any = None
    return Calls(session, declarer)


@pytest.fixture(scope="module")
def given_values() -> list[Shared]:
    return [vine.share(value) for value in VALUES]


def on_the_host(calls: Calls, args: tuple[Any, ...], kwargs: dict[str, Any], results: int = 0) -> tuple[Any, Any]:
    """What a host makes of these arguments, which refer to so many results."""
    payload, links = calls.dump(args, kwargs, "f")
    shared = [] if links is None else links.shared or []
    memory = None if links is None else links.memory
    file = b"".join(buffers.parts_of_file(LEFT + payload, memory)) if memory else LEFT + payload
    values = [(INLINE, serialise.dump(number)) for number in range(results)]
    paths = [each.path.encode() for each in shared]
    mark, args_there, kwargs_there = Serialiser(None).arguments([(INLINE, file), *values], paths)
    assert mark == LEFT
    return tuple(args_there), kwargs_there


def with_values(shape: Any, of: dict[int, Any]) -> Any:
    """The shape, with what is of each number in its place."""
    if isinstance(shape, list):
        return [with_values(each, of) for each in shape]
    if isinstance(shape, tuple):
        return tuple(with_values(each, of) for each in shape)
    if isinstance(shape, dict):
        return {name: with_values(each, of) for name, each in shape.items()}
    return of[shape] if isinstance(shape, int) else shape


def found_in(shape: Any, there: Any) -> list[tuple[int, Any]]:
    """Each number of the shape with what is in its place."""
    if isinstance(shape, list | tuple):
        return [pair for one, other in zip(shape, there, strict=True) for pair in found_in(one, other)]
    if isinstance(shape, dict):
        return [pair for name, each in shape.items() for pair in found_in(each, there[name])]
    return [(shape, there)] if isinstance(shape, int) else []


NUMBERS = st.integers(0, len(VALUES) - 1)
SHAPES = st.recursive(
    NUMBERS | st.sampled_from(["text", None]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(args=st.lists(SHAPES, max_size=5).map(tuple), kwargs=st.dictionaries(st.sampled_from("ab"), SHAPES))
def test_each_is_in_its_place_and_one_object_however_often_it_is_there(
    calls: Calls, given_values: list[Shared], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    sent = dict(enumerate(given_values))
    args_there, kwargs_there = on_the_host(calls, with_values(args, sent), with_values(kwargs, sent))
    values = dict(enumerate(VALUES))
    assert (args_there, kwargs_there) == (with_values(args, values), with_values(kwargs, values))
    objects: dict[int, Any] = {}
    for number, there in [*found_in(args, args_there), *found_in(kwargs, kwargs_there)]:
        assert objects.setdefault(number, there) is there


def test_as_arguments_they_are_not_in_the_pickle_of_the_others(calls: Calls, given_values: list[Shared]) -> None:
    payload, links = calls.dump((given_values[0], 1), {}, "f")
    (others, _) = calls.dump((1,), {}, "f")
    assert payload == PLACED + bytes((1, 0, True)) + others
    assert links is not None and links.shared == [given_values[0]]


def test_beside_results_and_what_only_dill_carries_they_keep_their_places(
    calls: Calls, given_values: list[Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    future: Future[int] = Future()
    monkeypatch.setattr(calls, "task_of", lambda future: TaskId(7))
    args, _ = on_the_host(calls, (future, given_values[1], lambda: 5, given_values[0]), {}, results=1)
    assert (args[0], args[1], args[2](), args[3]) == (0, VALUES[1], 5, VALUES[0])


def test_beside_large_memory_they_keep_their_places(calls: Calls, given_values: list[Shared]) -> None:
    (values, first), _ = on_the_host(calls, (np.arange(100_000), given_values[0]), {})
    assert (values.sum(), first) == (np.arange(100_000).sum(), VALUES[0])


def test_those_behind_more_arguments_than_a_byte_counts_are_pickled_like_the_others(
    calls: Calls, given_values: list[Shared]
) -> None:
    numbers = tuple(str(number) for number in range(300))
    args, _ = on_the_host(calls, (*numbers, given_values[0]), {})
    assert args == (*numbers, VALUES[0])


def test_the_argument_that_cannot_travel_is_counted_among_all(calls: Calls, given_values: list[Shared]) -> None:
    with pytest.raises(NotSerialisable, match="argument 3 of 'f'"):
        calls.dump((given_values[0], 1, (n for n in "abc"), given_values[1]), {}, "f")
