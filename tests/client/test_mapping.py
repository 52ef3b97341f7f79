"""Are results given in their order, as they are asked for, and is what nobody can ask for any more cancelled?"""

from __future__ import annotations

import concurrent.futures
import itertools
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.test_futures import FakeSession
from vine import errors
from vine.client import mapping, serialise
from vine.client.mapping import ChunkFuture, Results
from vine.names import TaskId
from vine.wire.parts import Outcome, TaskResult


class Pool:
    """Takes chunks; runs them at once, or holds them."""

    def __init__(self, hold: bool = False) -> None:
        self.hold = hold
        self.chunks: list[list[mapping.Row]] = []
        self.futures: list[Future[Results]] = []

    def submit(self, rows: list[mapping.Row]) -> Future[Results]:
        self.chunks.append(rows)
        self.futures.append(future := Future[Results]())
        if not self.hold:
            future.set_result(Results([sum(row) for row in rows]))
        return future


@given(
    columns=st.lists(st.lists(st.integers(), max_size=20), min_size=1, max_size=3),
    chunksize=st.integers(1, 25),
    buffersize=st.none() | st.integers(1, 5),
)
def test_results_are_those_of_the_builtin_map_whatever_the_chunks(
    columns: list[list[int]], chunksize: int, buffersize: int | None
) -> None:
    pool = Pool()
    results = mapping.in_order(pool.submit, tuple(map(iter, columns)), None, chunksize, buffersize)
    expected = [sum(row) for row in zip(*columns, strict=False)]
    assert list(results) == expected
    assert [sum(row) for chunk in pool.chunks for row in chunk] == expected
    assert all(len(chunk) == chunksize for chunk in pool.chunks[:-1])


def test_no_more_than_the_buffer_is_submitted_ahead_of_what_is_asked_for() -> None:
    pool = Pool()
    results = mapping.in_order(pool.submit, (itertools.count(),), None, 2, 3)
    ahead = [len(pool.chunks)]
    for _ in range(4):
        next(results)
        ahead.append(len(pool.chunks))
    assert ahead == [3, 4, 4, 5, 5]


@pytest.mark.parametrize("way", ["close", "timeout", "error"])
def test_what_nobody_can_ask_for_any_more_is_cancelled(way: str) -> None:
    pool = Pool(hold=True)
    results = mapping.in_order(pool.submit, ([1, 2, 3, 4],), 0 if way == "timeout" else None, 1, None)
    if way == "timeout":
        with pytest.raises(concurrent.futures.TimeoutError):
            next(results)
        assert all(future.cancelled() for future in pool.futures)
        return
    first, second, *rest = pool.futures
    first.set_result(Results([1]))
    assert next(results) == 1
    if way == "close":
        results.close()
        assert second.cancelled()
    else:
        second.set_result(Results([], KeyError("mine")))
        with pytest.raises(KeyError, match="mine"):
            next(results)
    assert all(future.cancelled() for future in rest)


def test_calls_of_which_no_result_was_asked_for_run_on_when_the_iterator_is_dropped_and_not_when_it_is_closed() -> None:
    dropped, closed = Pool(hold=True), Pool(hold=True)
    mapping.in_order(dropped.submit, ([1, 2],), None, 1, None)
    assert not any(future.cancelled() for future in dropped.futures)
    results = mapping.in_order(closed.submit, ([1, 2],), None, 1, None)
    results.close()
    assert all(future.cancelled() for future in closed.futures)
    assert list(results) == []


def test_an_interrupted_submission_cancels_what_was_submitted() -> None:
    pool = Pool(hold=True)

    def interrupted() -> Any:
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mapping.in_order(pool.submit, (interrupted(),), None, 1, None)
    assert pool.futures[0].cancelled()


def chunk_of(values: list[object], outcome: Outcome = Outcome.SUCCESS, message: str = "") -> Results:
    future = ChunkFuture(FakeSession(), TaskId(1))
    parts = [serialise.dump(value) for value in values]
    value = b"M" + b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    future.ended(TaskResult(TaskId(1), outcome, value=value, message=message), value)
    return future.result(0)


def test_a_chunk_is_its_values_then_its_failure() -> None:
    assert chunk_of([1, "two"]) == Results([1, "two"])
    values, error = chunk_of([1, (KeyError("lost"), "their traceback")], Outcome.EXCEPTION)
    assert values == [1]
    assert isinstance(error, KeyError)
    assert "their traceback" in str(error.__cause__)
    values, error = chunk_of([1], Outcome.NOT_SERIALISABLE, "the result is a generator")
    assert values == [1]
    assert isinstance(error, errors.NotSerialisable)


def test_a_value_that_cannot_be_read_here_does_not_take_those_before_it_along() -> None:
    future = ChunkFuture(FakeSession(), TaskId(1))
    good, bad = serialise.dump(1), b"Pcnomodule\nName\n."
    value = b"M" + b"".join(len(part).to_bytes(4, "little") + part for part in (good, bad, good))
    future.ended(TaskResult(TaskId(1), Outcome.SUCCESS, value=value), value)
    values, error = future.result(0)
    assert values == [1]
    assert isinstance(error, errors.NotSerialisable)


def test_a_chunk_that_ended_as_a_whole_is_the_error_of_its_future() -> None:
    future = ChunkFuture(FakeSession(), TaskId(1))
    result = TaskResult(TaskId(1), Outcome.TIME_LIMIT, message="too long")
    future.ended(msgspec.structs.replace(result), None)
    assert isinstance(future.exception(0), errors.TimeLimitExceeded)


@pytest.mark.parametrize(
    ("chunksize", "buffersize", "kind"),
    [(0, None, ValueError), (-1, None, ValueError), (1, 0, ValueError), (1, 1.5, TypeError)],
)
def test_sizes_that_cannot_be_are_refused(chunksize: int, buffersize: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        mapping.check(chunksize, buffersize)
