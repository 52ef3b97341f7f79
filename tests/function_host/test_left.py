"""Does a call leave its result in a file of its folder, where it is to, as others can read it?"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import dill
import pytest

from tests.function_host.running import RunningHost
from vine_function_host import frames
from vine_function_host.payload import DILL, LEFT, LEFT_AS_IT_IS, RESULT_FILE

pytestmark = pytest.mark.live


def left(host: RunningHost, folder: Path, mark: bytes, function: Any) -> Any:
    path = folder / f"function-{host.number}"
    path.write_bytes(DILL + dill.dumps(function, recurse=True))
    settings = json.dumps({"folder": os.fspath(folder)}).encode()
    host.call_payload(path, mark + b"P" + pickle.dumps(((), {})), settings)
    return host.answer()


@pytest.mark.parametrize("value", [{"a": [1]}, "text"])
def test_it_is_a_pickle_like_any_other_and_nothing_else_comes_back(
    host: RunningHost, tmp_path: Path, value: Any
) -> None:
    answer = left(host, tmp_path, LEFT, lambda: value)
    assert (answer.brings, pickle.loads(answer.content[1:])) == (frames.VALUE, None)
    assert pickle.loads((tmp_path / RESULT_FILE).read_bytes()) == value


def test_what_pickle_cannot_carry_dill_does(host: RunningHost, tmp_path: Path) -> None:
    left(host, tmp_path, LEFT, lambda: lambda: 5)
    assert pickle.loads((tmp_path / RESULT_FILE).read_bytes())() == 5


def test_bytes_are_left_as_they_are_and_anything_else_is_told(host: RunningHost, tmp_path: Path) -> None:
    left(host, tmp_path, LEFT_AS_IT_IS, lambda: b"raw")
    assert (tmp_path / RESULT_FILE).read_bytes() == b"raw"
    answer = left(host, tmp_path, LEFT_AS_IT_IS, lambda: 4)
    assert answer.brings == frames.UNSENDABLE and "the result is a int, and no bytes" in answer.words
