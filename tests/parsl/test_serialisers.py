"""Do arguments travel as the program has told Parsl, and else as all others do?"""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from parsl.serialize.base import SerializerBase
from parsl.serialize.facade import methods_for_data, register_method_for_data

from vine.client import serialise
from vine.errors import NotSerialisable
from vine.parsl.serialisers import Packing


class Marked(SerializerBase):  # type: ignore[misc]  # Parsl's types are not followed
    """Tells that it was asked."""

    def serialize(self, data: Any) -> bytes:
        return pickle.dumps(("marked", data))

    def deserialize(self, body: bytes) -> Any:
        mark, data = pickle.loads(body)
        assert mark == "marked"
        return data


@pytest.fixture
def marked() -> Iterator[None]:
    before = dict(methods_for_data)
    methods_for_data.clear()
    register_method_for_data(Marked())
    yield
    methods_for_data.clear()
    methods_for_data.update(before)


def joined(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    return args, kwargs


def test_without_any_of_the_programs_calls_are_left_as_they_are() -> None:
    args, kwargs = (1,), {"x": 2}
    assert Packing().packed(joined, args, kwargs) == (joined, args, kwargs)


@pytest.mark.usefixtures("marked")
def test_what_is_registered_makes_the_bytes_and_reads_them_where_the_app_runs() -> None:
    packing = Packing()
    func, args, kwargs = packing.packed(joined, (1, "two"), {"x": 3})
    assert all(b"marked" in packed for packed in args) and not kwargs
    there = serialise.load(serialise.dump_function(func, "joined"))
    assert there(*args) == ((1, "two"), {"x": 3})
    assert packing.packed(joined, (), {})[0] is func, "the function is sent once"


@pytest.mark.usefixtures("marked")
def test_what_none_of_them_takes_is_named() -> None:
    with pytest.raises(NotSerialisable, match="the arguments of 'joined'"):
        Packing().packed(joined, (lambda: 1,), {})


@pytest.mark.usefixtures("marked")
def test_functions_that_nobody_calls_any_more_are_let_go() -> None:
    packing = Packing()
    gone: list[weakref.ref[Any]] = []
    for number in range(300):

        def made_for_one_call(number: int = number) -> int:
            return number

        packing.packed(made_for_one_call, (), {})
        gone.append(weakref.ref(made_for_one_call))
    del made_for_one_call
    assert gone[0]() is None and sum(each() is not None for each in gone) <= 100


class Adder:
    """Equal to others that add the same, and changed by its user."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, other: int) -> int:
        return self.number + other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Adder) and self.number == other.number

    __hash__ = None  # type: ignore[assignment]  # As Python makes it of a class with __eq__.


@pytest.mark.usefixtures("marked")
def test_an_object_that_is_called_is_sent_as_it_is_now() -> None:
    packing, adder = Packing(), Adder(1)
    func, args, _ = packing.packed(adder, (1,), {})
    assert func(*args) == 2
    adder.number = 5
    func, args, _ = packing.packed(adder, (1,), {})
    assert func(*args) == 6
