"""Does an exception travel with its traceback, whatever its class does?"""

from __future__ import annotations

import pickle
from typing import Any

from vine_function_host.failures import dump_exception, text_of
from vine_function_host.registered import Registered
from vine_function_host.serialiser import Serialiser


class Stubborn(Exception):  # noqa: N818 - a name like any user's
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")

    def __reduce__(self) -> Any:
        return (Stubborn, ())


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - any
        return caught


def test_it_comes_back_as_itself_with_the_lines_that_raised_it() -> None:
    error, text = Serialiser(None).load(dump_exception(Serialiser(None), raised(KeyError("key"))))
    assert type(error) is KeyError
    assert "in raised" in text


def test_one_that_does_not_survive_the_way_comes_back_in_words() -> None:
    error, text = Serialiser(None).load(dump_exception(Serialiser(None), raised(Stubborn(1, 2))))
    assert type(error) is RuntimeError
    assert str(error) == "Stubborn: 1 and 2"
    assert "in raised" in text


class Sealed:
    def __init__(self, content: str) -> None:
        self.content = content

    def __reduce__(self) -> Any:
        raise TypeError("it is sealed")


def test_what_it_holds_goes_by_the_serialiser_that_is_registered_for_it() -> None:
    entry = (1, (Sealed.__module__, Sealed.__qualname__), b"dump", b"load")
    functions = {b"dump": lambda sealed: sealed.content, b"load": Sealed}
    known = Registered(pickle.dumps([entry]), lambda content: functions[bytes(content)])
    failed = raised(KeyError(Sealed("x")))
    error, _ = Serialiser(None).load(dump_exception(Serialiser(None), failed, known), known)
    assert (type(error), error.args[0].content) == (KeyError, "x")
    assert type(Serialiser(None).load(dump_exception(Serialiser(None), failed))[0]) is RuntimeError


def test_our_own_frames_are_not_told() -> None:
    def fail() -> None:
        Serialiser(None).load(b"Pnonsense")

    try:
        fail()
    except Exception as error:  # noqa: BLE001 - pickle raises anything
        assert "in fail" in text_of(error)
