"""Does what cannot travel stay where it is, with words for its author?"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import dill
import pytest

from tests.function_host.running import RunningHost, value_of
from vine.client import links
from vine_function_host import frames
from vine_function_host.payload import DILL

pytestmark = pytest.mark.live


def test_a_result_that_cannot_be_serialised_is_an_error_that_names_its_type(host: RunningHost) -> None:
    for body, word in ((lambda: memoryview(b"abc"), "memoryview"), (lambda: (n for n in "abc"), "generator")):
        host.call(body)
        answer = host.answer()
        assert answer.brings == frames.UNSENDABLE
        assert word in answer.words
    assert host.result(lambda: "still here") == "still here"


def test_what_awaits_something_is_no_result_and_the_words_say_what_to_do(host: RunningHost) -> None:
    async def later() -> int:
        return 1

    host.call(later)
    answer = host.answer()
    assert (answer.brings, answer.content) == (frames.UNSENDABLE, b"")
    assert answer.words.endswith("submit a function that calls asyncio.run()")


def test_an_open_file_is_no_result(host: RunningHost, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("data")
    host.call(lambda path: open(path), str(tmp_path / "data"))  # noqa: SIM115
    answer = host.answer()
    assert answer.brings == frames.UNSENDABLE
    assert "an open file stays where it was opened" in answer.words


def test_values_of_other_tasks_take_the_place_of_their_references(host: RunningHost, tmp_path: Path) -> None:
    class Second:
        def __reduce__(self) -> Any:
            return links.result_at, (1,)

    payload = pickle.dumps(((Second(), {"nested": [Second()]}), {}))
    function = tmp_path / "function"
    function.write_bytes(DILL + dill.dumps(lambda x, y: (x, y, x is y["nested"][0]), recurse=True))
    values = (b"P" + pickle.dumps("no"), b"P" + pickle.dumps([1, 2]))
    host.call_payload(function, b"P" + payload, values=values)
    assert value_of(host.answer()) == ([1, 2], {"nested": [[1, 2]]}, True)
