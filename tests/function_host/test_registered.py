"""Do hosts know the serialisers that came with a function by the names of their types?"""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from vine.client import registered as client
from vine_function_host import registered
from vine_function_host.registered import Registered, UnsendableError


def entries(*named: tuple[int, tuple[str, str], bytes, bytes]) -> Registered:
    functions = {b"dump": repr, b"load": int, b"fail": int}
    return Registered(pickle.dumps(list(named)), lambda content: functions[bytes(content)])


def test_both_ends_know_the_function_before_what_was_dumped_by_both_its_names() -> None:
    ours = (registered.loaded.__module__, registered.loaded.__qualname__)
    theirs = (client.loaded.__module__, client.loaded.__qualname__)
    assert set(registered.LOADED) == set(client.LOADED) == {ours, theirs}


def test_a_type_of_the_same_name_has_the_serialiser_and_so_has_one_derived_from_it() -> None:
    class Number(int):
        pass

    class Derived(Number):
        pass

    known = entries((3, (Number.__module__, Number.__qualname__), b"dump", b"load"))
    assert known.reduce(Number(7)) == known.reduce(Derived(7)) == (registered.loaded, (3, "7"))
    assert known.reduce(7) is NotImplemented
    assert known.loaded(3, "7") == 7


def test_a_failure_names_the_type_and_what_failed() -> None:
    known = entries((0, ("room", "Type"), b"dump", b"fail"))
    with pytest.raises(UnsendableError, match=r"registered for 'room.Type' failed in its load \(ValueError"):
        known.loaded(0, "no number")


def test_one_that_did_not_come_along_is_told() -> None:
    value: Any = None
    with pytest.raises(UnsendableError, match="after this call had been submitted"):
        entries().loaded(5, value)
