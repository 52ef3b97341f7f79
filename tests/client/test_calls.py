"""Is each function serialised and declared once, and forgotten when it is long unused?"""

from __future__ import annotations

from typing import Any

import pytest

from vine import config, errors
from vine.client import serialise
from vine.client.calls import Calls
from vine.names import FileId
from vine.wire.messages import ForgetFiles


class FakeSession:
    def __init__(self) -> None:
        self.said: list[object] = []

    def say(self, message: object) -> None:
        self.said.append(message)

    def check(self) -> None:
        """The run is not over."""


class DeclaredFile:
    def __init__(self, file_id: FileId) -> None:
        self.file_id = file_id


class FakeDeclarer:
    def __init__(self) -> None:
        self.declared: list[bytes] = []

    def buffer(self, data: bytes, label: str) -> DeclaredFile:
        self.declared.append(data)
        return DeclaredFile(FileId(len(self.declared)))


class Adder:
    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __call__(self, number: int) -> int:
        return number + self.amount


@pytest.fixture
def world() -> tuple[Calls, FakeSession, FakeDeclarer]:
    session: Any = FakeSession()
    declarer: Any = FakeDeclarer()
    return Calls(session, declarer), session, declarer


World = tuple[Calls, FakeSession, FakeDeclarer]


def test_functions_of_equal_content_are_one(world: World) -> None:
    calls, _, declarer = world
    made = [lambda x: x + 1 for _ in range(3)]
    assert len({calls.function(one).file_id for one in [*made, *made]}) == 1
    assert len(declarer.declared) == 1


def test_callables_with_state_are_sent_as_they_are_at_each_call(world: World) -> None:
    calls, _, declarer = world
    adder = Adder(1)
    first = calls.function(adder)
    assert calls.function(Adder(1)) is first
    adder.amount = 2
    assert calls.function(adder) is not first
    assert len(declarer.declared) == 2


def test_a_function_is_sent_anew_when_what_it_uses_is_bound_anew(world: World) -> None:
    calls, _, declarer = world
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def help(): return 1\ndef body(): return help()", names)
    first = calls.function(names["body"])
    assert calls.function(names["body"]) is first
    exec("def help(): return 2", names)
    second = calls.function(names["body"])
    assert calls.function(names["body"]) is second
    assert [serialise.load(data)() for data in declarer.declared] == [1, 2]
    exec("def body(): return 3", names)
    assert calls.function(names["body"]) not in (first, second)


def test_the_least_recently_made_functions_are_forgotten_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "functions_kept_max", 2)
    calls, session, declarer = world

    def function(x: int) -> int:
        return x

    calls.function(function)
    for amount in range(4):
        calls.function(Adder(amount))
    # The first three have gone; one of them is past the time in which a submission may still name it.
    assert session.said == [ForgetFiles((FileId(1),))]
    assert calls.function(function).file_id == len(declarer.declared) == 6


def test_what_cannot_be_called_is_refused(world: World) -> None:
    calls, _, _ = world
    with pytest.raises(errors.UsageError, match="42 cannot be called"):
        calls.function(42)  # type: ignore[arg-type]
