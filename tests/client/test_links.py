"""Is what does not go into a call's pickle noted beside it, each thing once?"""

from __future__ import annotations

import io
import pickle
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from vine import config
from vine.client import links
from vine.client.links import Alone, ForeignFailed, Links
from vine.client.shared import Shared
from vine.names import TaskId

LIMIT = config.inline_bytes_max


def known(future: Future[Any]) -> TaskId | None:
    return getattr(future, "number", None)


def a_future(number: int | None) -> Any:
    future: Any = Future()
    future.number = number
    return future


def test_most_calls_have_nothing_beside_their_pickle() -> None:
    assert not Links(known).any()


def test_a_task_and_a_shared_value_have_one_place_each_however_often_they_are_named() -> None:
    beside, first, second = Links(known), a_future(5), a_future(7)
    assert [beside.reduced(future)[1] for future in (first, second, first)] == [(0,), (1,), (0,)]
    assert beside.depends == (5, 7)
    one, other = Shared([1]), Shared((1,))
    assert [beside.place_of(shared)[1] for shared in (one, other, one)] == [(0, False), (1, True), (0, False)]
    assert beside.shared == [one, other] and beside.any()
    beside.clear()
    assert not beside.any()


def test_memory_is_left_where_it_lies_from_the_limit_on() -> None:
    beside = Links(known)
    assert beside.take(pickle.PickleBuffer(bytearray(LIMIT)))
    assert beside.memory is None
    assert not beside.take(pickle.PickleBuffer(bytearray(LIMIT + 1)))
    assert beside.memory is not None and len(beside.memory[0]) == LIMIT + 1


@pytest.mark.parametrize("apart", [False, True])
def test_what_is_no_argument_leaves_its_memory_only_where_it_is_wanted(apart: bool) -> None:
    assert Alone(apart=apart).take(pickle.PickleBuffer(bytearray(LIMIT + 1))) is not apart


def test_a_future_from_elsewhere_is_awaited_or_is_its_value_or_its_failure() -> None:
    beside, future = Links(known), a_future(None)
    beside.reduced(future)
    assert beside.awaited == [future]
    future.set_result(3)
    function, args = beside.reduced(future)
    assert function(*args) == 3
    failed = a_future(None)
    failed.set_exception(ValueError("why"))
    with pytest.raises(ForeignFailed) as raised:
        beside.reduced(failed)
    assert isinstance(raised.value.__cause__, ValueError)


def test_open_files_stay_and_standard_streams_do_not_matter(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file, pytest.raises(TypeError, match="pass its name"):
        links.refuse_open_files(file)
    assert links.refuse_open_files(sys.__stdout__) is NotImplemented
    assert links.refuse_open_files(io.BytesIO()) is NotImplemented
