"""Does a warm interpreter run calls as it should, seen from the worker's end of its socket?"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import dill
import pytest

from tests.function_host.running import RunningHost, many, parts_of, value_of, value_or_text
from vine import config
from vine_function_host import frames
from vine_function_host.payload import DILL

pytestmark = pytest.mark.live


def test_calls_are_answered_in_their_order(host: RunningHost) -> None:
    for number in range(5):
        host.call(lambda x: x + 1, number)
    assert host.values(5) == [1, 2, 3, 4, 5]


def test_an_exception_comes_back_as_itself_with_its_traceback_and_without_our_frames(host: RunningHost) -> None:
    def divide(a: int, b: int) -> float:
        return a / b

    host.call(divide, 1, 0)
    answer = host.answer()
    error, text = value_or_text(answer)
    assert answer.brings == frames.EXCEPTION
    assert type(error) is ZeroDivisionError
    assert "in divide" in text
    assert "vine_function_host" not in text


def test_an_exception_that_cannot_travel_is_told_in_words(host: RunningHost) -> None:
    def fail() -> None:
        class Stubborn(Exception):  # noqa: N818
            def __init__(self, one: int, two: int) -> None:
                super().__init__(f"{one} and {two}")

            def __reduce__(self) -> Any:
                return (Stubborn, ())

        raise Stubborn(1, 2)

    host.call(fail)
    error, text = value_or_text(host.answer())
    assert type(error) is RuntimeError
    assert "Stubborn: 1 and 2" in str(error)
    assert "Stubborn" in text


def test_a_call_with_code_of_another_python_is_not_begun_and_the_next_one_is(host: RunningHost, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(DILL[:2] + bytes((DILL[2] + 1,)) + dill.dumps(lambda: (tmp_path / "ran").touch(), recurse=True))
    host.call_payload(foreign, b"P" + pickle.dumps(((), {})))
    host.call(lambda: "next")
    refused, after = host.answers(2)
    assert (refused.brings, refused.content) == (frames.FOREIGN, b"")
    assert f"is of Python {DILL[1]}.{DILL[2] + 1}, and {sys.executable}, where" in refused.words
    assert value_of(after) == "next"
    assert not (tmp_path / "ran").exists()


def test_a_chunk_of_calls_is_one_call_with_the_results_of_all(host: RunningHost) -> None:
    answer = many(host, lambda a, b, c=0: (a, b, c), ("first",), [(1,), (2,)], c=3)
    assert answer.brings == frames.VALUE
    assert parts_of(answer) == [("first", 1, 3), ("first", 2, 3)]


def test_a_failure_in_a_chunk_is_answered_with_what_came_before_and_ends_it(host: RunningHost) -> None:
    answer = many(host, lambda x: [].append(x) or 1 / x, (), [(1,), (0,), (2,)])
    *values, (error, text) = parts_of(answer)
    assert (answer.brings, values, type(error)) == (frames.EXCEPTION, [1.0], ZeroDivisionError)
    assert answer.words == "ZeroDivisionError: division by zero"
    assert "division by zero" in text


def test_a_result_in_a_chunk_that_cannot_travel_does_not_take_those_before_it_along(host: RunningHost) -> None:
    answer = many(host, lambda x: x or memoryview(b""), (), [(1,), (0,), (2,)])
    assert (answer.brings, parts_of(answer)) == (frames.UNSENDABLE, [1])


def test_exit_in_a_chunk_is_the_exit_of_all_of_it(host: RunningHost) -> None:
    answer = many(host, sys.exit, (), [(3,), (4,)])
    assert (answer.brings, answer.content) == (frames.EXIT, b"3")


def test_long_arguments_and_results_go_by_files(host: RunningHost, tmp_path: Path) -> None:
    long = b"x" * (3 * config.host_frame_bytes_max)
    host.call(lambda data: data, long)
    answer = host.answer()
    assert answer.at_path
    assert value_of(answer) == long
    assert not list(tmp_path.glob("call-*")), "the call's file was left behind"


def test_a_call_sees_its_folder_and_variables_and_the_next_one_does_not(host: RunningHost, tmp_path: Path) -> None:
    def where() -> tuple[str, str | None]:
        return os.getcwd(), os.environ.get("COLOUR")

    folder = tmp_path / "sandbox"
    folder.mkdir()
    settings = f'{{"folder": "{folder}", "variables": {{"COLOUR": "red"}}}}'.encode()
    assert host.result(where, settings=settings) == (str(folder), "red")
    assert host.result(where) == (str(tmp_path), None)


def test_a_call_does_not_see_a_variable_that_is_unset_for_it_and_the_next_one_does(host: RunningHost) -> None:
    def path() -> str | None:
        return os.environ.get("PATH")

    assert host.result(path, settings=b'{"folder": null, "variables": {"PATH": null}}') is None
    assert host.result(path) == os.environ["PATH"]


def test_a_result_that_finds_no_room_leaves_nothing_of_its_file(host: RunningHost, tmp_path: Path) -> None:
    def long() -> bytes:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        return bytes(4_000_000)

    host.call(long)
    assert host.answer().words.startswith("OSError")
    assert not list(tmp_path.glob("value-*"))


def test_a_result_whose_file_cannot_even_be_made_is_told_with_the_reason(host: RunningHost) -> None:
    def long() -> bytes:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        return bytes(4_000_000)

    host.call(long)
    assert "Too many open files" in host.answer().words
