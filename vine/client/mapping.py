"""How does one function run over many arguments: submitted by chunks, results in order as they are asked for?"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple

import msgspec

from vine.client import futures
from vine.client.futures import VineFuture
from vine.wire.parts import Outcome, TaskResult
from vine_function_host.payload import MANY, pieces_of

Row = tuple[Any, ...]  # the arguments of one call


class Results(NamedTuple):
    """What came of a chunk of calls: values in order, then the error of the one that failed."""

    values: list[Any]
    error: BaseException | None = None


class ChunkFuture(VineFuture[Results]):
    """The future of several calls that run one after another as one; one that fails does not hide those before it."""

    mark = MANY

    def _take(self, result: TaskResult, value: futures.Content | None) -> None:
        if value is None or value[:1] != MANY:
            super()._take(result, value)
            return
        parts = pieces_of(value[len(MANY) :])
        failure = parts.pop() if result.outcome is Outcome.EXCEPTION else None
        error = futures.read_outcome(result, failure)[1]
        one = msgspec.structs.replace(result, outcome=Outcome.SUCCESS, value=None)
        values: list[Any] = []
        for part in parts:
            read, unreadable = futures.read_outcome(one, part)
            if unreadable is not None:
                error = unreadable
                break
            values.append(read)
        self.set_result(Results(values, error))


def check(chunksize: int, buffersize: int | None) -> None:
    if chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    if buffersize is not None and not isinstance(buffersize, int):
        raise TypeError("buffersize must be an integer or None")
    if buffersize is not None and buffersize < 1:
        raise ValueError("buffersize must be None or > 0")


def in_order(
    submit: Callable[[list[Row]], Future[Results]],
    iterables: tuple[Iterable[Any], ...],
    timeout: float | None,
    chunksize: int,
    buffersize: int | None,
) -> InOrder:
    """Submits the chunks, at most `buffersize` of them ahead of what is asked for; the results follow lazily."""
    end_s = None if timeout is None else time.monotonic() + timeout
    chunks = _chunks(zip(*iterables, strict=False), chunksize)
    ahead: deque[Future[Results]] = deque()
    try:
        for chunk in itertools.islice(chunks, buffersize):
            ahead.append(submit(chunk))
    except BaseException:  # Such as a Ctrl-C: nobody gets the results.
        _cancel(ahead)
        raise
    return InOrder(ahead, _results(ahead, map(submit, chunks), end_s))


class InOrder(Iterator[Any]):
    """The results, whose `close` also cancels calls of which none was asked for: a generator's runs nothing then.

    Who only drops it before that has asked for the calls alone, and they run.
    """

    def __init__(self, ahead: deque[Future[Results]], results: Generator[Any, None, None]) -> None:
        self._ahead = ahead
        self._results = results

    def __next__(self) -> Any:
        return next(self._results)

    def close(self) -> None:
        self._results.close()
        _cancel(self._ahead)


def _results(
    ahead: deque[Future[Results]], more: Iterator[Future[Results]], end_s: float | None
) -> Generator[Any, None, None]:
    """Ends all that is open when it ends itself: by an error, for want of time, or because nobody asks any more."""
    try:
        while ahead:
            left_s = None if end_s is None else max(0.0, end_s - time.monotonic())
            values, error = ahead[0].result(left_s)
            ahead.popleft()
            ahead.extend(itertools.islice(more, 1))
            values.reverse()
            while values:
                yield values.pop()  # And so not kept here.
            if error is not None:
                raise error
    finally:
        _cancel(ahead)


def _chunks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while chunk := list(itertools.islice(rows, size)):
        yield chunk


def _cancel(ahead: Iterable[Future[Any]]) -> None:
    for future in ahead:
        future.cancel()
