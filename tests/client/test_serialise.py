"""How do functions, arguments and results become bytes, and bytes become them again?"""

from __future__ import annotations

import copy
import functools
import operator
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from vine.client import serialise
from vine.client.links import ForeignFailed
from vine.errors import MalformedMessage, NotSerialisable
from vine.names import TaskId
from vine_function_host.frames import INLINE
from vine_function_host.serialiser import Serialiser


def nobodys(future: Future[Any]) -> TaskId | None:
    return None


def load_on_worker(payload: bytes, values: list[object]) -> Any:
    """As a function host reads a payload: dependency values filled in by position."""

    blobs = [(INLINE, content) for content in (payload, *map(serialise.dump, values))]
    mark, args, kwargs = Serialiser(None).arguments(blobs)
    assert not mark
    return args, kwargs


def done(value: object) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def test_plain_arguments_are_pickled_and_come_back() -> None:
    payload, links = serialise.dump_call((1, "two"), {"three": [3.0, None]}, "f", nobodys)
    assert links is None
    assert payload[:1] == b"P"
    assert serialise.load(payload) == ((1, "two"), {"three": [3.0, None]})


@pytest.mark.parametrize("value", [-5, 2.5, True, None, "text", b"bytes", "__main__", "x" * 100_000, 1 << 100])
def test_numbers_and_text_look_as_they_do_among_other_arguments(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    calls: list[tuple[Any, Any]] = [((value, 1), {}), ((), {"named": value}), ((1,), {"named": value})]
    bare = [serialise.dump_call(args, kwargs, "f", nobodys) for args, kwargs in calls]
    monkeypatch.setattr(serialise, "_BARE", frozenset())
    assert bare == [serialise.dump_call(args, kwargs, "f", nobodys) for args, kwargs in calls]
    assert [serialise.load(payload) for payload, _ in bare] == calls


def test_importable_functions_go_by_name_and_lambdas_by_dill() -> None:
    assert serialise.dump(operator.add)[:1] == b"P"
    offset = 5
    data = serialise.dump(lambda x: x + offset)
    assert data[:1] == b"D"
    assert serialise.load(data)(1) == 6


def test_futures_of_the_run_become_references_wherever_they_are_nested() -> None:
    first, second, tasks = Future[Any](), Future[Any](), {}
    tasks[id(first)], tasks[id(second)] = TaskId(7), TaskId(9)
    payload, links = serialise.dump_call(
        ([first, {"deep": (second, first)}],), {"key": second}, "f", lambda future: tasks[id(future)]
    )
    assert links is not None
    assert links.depends == (7, 9)
    assert links.awaited is None
    args, kwargs = load_on_worker(payload, ["seven", "nine"])
    assert args == (["seven", {"deep": ("nine", "seven")}],)
    assert kwargs == {"key": "nine"}


def test_futures_of_the_run_are_found_beside_what_only_dill_can_carry() -> None:
    mine: Future[Any] = Future()
    payload, links = serialise.dump_call((mine, lambda x: x), {}, "f", lambda future: TaskId(3))
    assert payload[:1] == b"D"
    assert links is not None
    assert links.depends == (3,)
    (value, same), _ = load_on_worker(payload, ["three"])
    assert (value, same(4)) == ("three", 4)


def test_a_done_future_from_elsewhere_is_replaced_by_its_value() -> None:
    payload, links = serialise.dump_call(([done(41)],), {}, "f", nobodys)
    assert links is None
    assert load_on_worker(payload, []) == (([41],), {})


def test_an_open_future_from_elsewhere_is_to_be_awaited() -> None:
    open_one: Future[Any] = Future()
    _, links = serialise.dump_call((done(1), open_one), {}, "f", nobodys)
    assert links is not None
    assert links.awaited == [open_one]


def test_a_failed_future_from_elsewhere_is_told_apart_from_what_cannot_be_serialised() -> None:
    failed: Future[Any] = Future()
    failed.set_exception(ZeroDivisionError("there"))
    with pytest.raises(ForeignFailed) as caught:
        serialise.dump_call((failed,), {}, "f", nobodys)
    error = serialise.foreign_failure("f", caught.value)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "'f' takes the result of" in str(error)


class OthersFuture(Future[Any]):
    """As other libraries make them."""


def test_futures_of_other_libraries_are_replaced_by_their_values_too() -> None:
    future = OthersFuture()
    future.set_result(41)
    payload, _ = serialise.dump_call(({"deep": future},), {}, "f", nobodys)
    assert load_on_worker(payload, []) == (({"deep": 41},), {})


class Counted:
    """Counts how often it is pickled."""

    pickled = 0

    def __reduce__(self) -> Any:
        type(self).pickled += 1
        return int, (1,)


@pytest.mark.parametrize("beside", [1, Future(), done(2), [done(3)], lambda x: x, [Future()]])
def test_what_stands_beside_a_future_or_a_lambda_is_pickled_once(beside: Any) -> None:
    Counted.pickled = 0
    serialise.dump_call((Counted(), beside), {}, "f", lambda future: None if future.done() else TaskId(1))
    assert Counted.pickled == 1


def test_outside_of_a_call_futures_are_pickled_and_copied_as_ever() -> None:
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.\w+' object"):
        pickle.dumps(done(1))
    assert copy.copy(done(1)).result() == 1


def test_an_argument_that_nothing_can_carry_is_named_with_the_cause_in_one_line() -> None:
    generator = (x for x in range(2))
    with pytest.raises(NotSerialisable) as caught:
        serialise.dump_call((1, 2), {"data": generator}, "train", nobodys)
    message = str(caught.value)
    assert "argument 'data' of 'train' (a generator)" in message
    assert "\n" not in message
    assert caught.value.__cause__ is not None


def test_a_function_that_nothing_can_carry_is_named() -> None:
    stream = os.fdopen(os.dup(1), "wb")
    lock = threading.local()
    with stream, pytest.raises(NotSerialisable, match="function 'reads' cannot be serialised"):
        serialise.dump_function(functools.partial(print, sys._getframe(), lock), "reads")


def test_an_open_file_is_refused_rather_than_replaced_by_another(tmp_path: Path) -> None:
    with (tmp_path / "data").open("w") as file:
        with pytest.raises(NotSerialisable, match=r"argument 1 of 'train'.*an open file stays in its program"):
            serialise.dump_call((file,), {}, "train", nobodys)
        with pytest.raises(NotSerialisable, match="an open file stays in its program"):
            serialise.dump_function(lambda: file.write("lost"), "writes")


def test_the_standard_streams_stand_for_themselves() -> None:
    assert serialise.load(serialise.dump(sys.__stdout__)) is sys.__stdout__


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="unknown format"):
        serialise.load(b"X...")


def run_script(tmp_path: Path, text: str) -> str:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_script_defines_travels_by_value_with_the_globals_that_it_names(tmp_path: Path) -> None:
    written = tmp_path / "function"
    run_script(
        tmp_path,
        f"""
        import math
        from vine.client import serialise

        HALF = 0.5
        UNPICKLABLE = (x for x in ())

        def area(radius):
            return HALF * math.floor(radius)

        open({str(written)!r}, "wb").write(serialise.dump_function(area, "area"))
        """,
    )
    assert serialise.load(written.read_bytes())(8.9) == 4.0


def test_a_class_of_the_script_is_itself_again_when_its_objects_come_home(tmp_path: Path) -> None:
    # A host sends classes of __main__ by value, since it has no such module.
    output = run_script(
        tmp_path,
        """
        from vine.client import serialise

        class Failure(Exception):
            pass

        class Point:
            def __init__(self, x):
                self.x = x

        data = serialise.dump(((Point(3), Failure("why")), "text"))
        assert data[:1] == b"D"
        (point, failure), _ = serialise.load(data)
        print(isinstance(point, Point), isinstance(failure, Failure), point.x)
        """,
    )
    assert output.split() == ["True", "True", "3"]
