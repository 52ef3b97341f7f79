"""Is the end of a call told in words, whatever the user's classes do?"""

from __future__ import annotations

import sys

import pytest

from tests.function_host.running import RunningHost
from vine_function_host import frames, words

pytestmark = pytest.mark.live


def test_what_an_exception_says_is_readable_without_unpickling_it(host: RunningHost) -> None:
    def fail() -> None:
        raise ValueError("one line\nand another " + "x" * 5000)

    host.call(fail)
    said = host.answer().words
    assert said.startswith("ValueError: one line and another xxx")
    assert len(said) == words.WORDS_CHARS_MAX


def test_exit_fails_the_call_alone(host: RunningHost) -> None:
    host.call(lambda: sys.exit(3))
    answer = host.answer()
    assert (answer.brings, answer.content) == (frames.EXIT, b"3")
    assert host.result(lambda: "still here") == "still here"
