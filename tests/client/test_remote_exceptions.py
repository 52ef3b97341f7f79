"""Which exceptions come back as themselves, and how is it told where they came from?"""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from vine.client.executor import Executor
from vine.client.futures import RemoteTraceback

pytestmark = pytest.mark.live


class FalsyError(Exception):
    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


class ParticularError(Exception):
    """Has more than its args tell."""

    def __init__(self, what: str, *, code: int) -> None:
        super().__init__(what)
        self.code = code

    def __reduce__(self) -> Any:
        return _particular, (self.args[0], self.code)


def _particular(what: str, code: int) -> ParticularError:
    return ParticularError(what, code=code)


class StubbornError(Exception):
    """Can be raised, and not be made again from its args: the trap that many fall into."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"{left} and {right}")


class CarryingError(Exception):
    """Carries what cannot travel."""


def raised(error: BaseException) -> None:
    raise error


def particular() -> None:
    raise ParticularError("it", code=7)


def stubborn() -> None:
    raise StubbornError("this", "that")


def carrying() -> None:
    raise CarryingError(x for x in "abc")


def caused() -> None:
    try:
        raise KeyError("cause")
    except KeyError as cause:
        raise ValueError("effect") from cause


def noted() -> None:
    error = ValueError("noted")
    error.__notes__ = ["see there"]  # type: ignore[attr-defined] # what add_note of Python 3.11 does
    raise error


@pytest.mark.parametrize("chunksize", [1, 2])
def test_an_exception_that_is_false_is_no_success(executor: Executor, chunksize: int) -> None:
    # Not by result(): the standard library's own, before Python 3.12.1, asks whether the exception is true.
    assert isinstance(executor.submit(raised, FalsyError("no")).exception(30), FalsyError)
    with pytest.raises(FalsyError):
        list(executor.map(raised, [FalsyError("no")], chunksize=chunksize))


def test_what_an_exception_carries_comes_along(executor: Executor) -> None:
    with pytest.raises(ParticularError, match="it") as caught:
        executor.submit(particular).result(30)
    assert caught.value.code == 7
    error = executor.submit(noted).exception(30)
    assert error is not None
    assert error.__notes__ == ["see there"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, StopIteration, AssertionError])
def test_exceptions_that_others_take_for_words_to_themselves_are_those_of_the_call(
    executor: Executor, kind: type[BaseException]
) -> None:
    """exception(): Return the exception raised by the call. Of any kind: it interrupts nobody but the call."""
    future = executor.submit(raised, kind("mine"))
    assert type(future.exception(30)) is kind
    assert executor.submit(len, "on it goes").result(30) == 10


@pytest.mark.parametrize(
    ("function", "words"), [(stubborn, "StubbornError: this and that"), (carrying, "CarryingError: <generator")]
)
def test_an_exception_that_cannot_travel_is_told_by_its_words(executor: Executor, function: Any, words: str) -> None:
    """Neither lost nor a hang: what is left of it are its words."""
    error = executor.submit(function).exception(30)
    assert type(error) is RuntimeError
    assert str(error).startswith(words)
    assert "raise " in str(error.__cause__), "and where it came from"


def test_the_remote_traceback_shows_the_line_and_its_own_causes(executor: Executor) -> None:
    """As the standard library's pool of processes: the traceback there is the cause here."""
    error = executor.submit(caused).exception(30)
    assert isinstance(error, ValueError)
    assert isinstance(error.__cause__, RemoteTraceback)
    shown = "".join(traceback.format_exception(error))
    assert 'raise KeyError("cause")' in shown
    assert 'raise ValueError("effect") from cause' in shown
    assert "direct cause of the following exception" in shown
