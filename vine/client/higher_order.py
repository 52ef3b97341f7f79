"""How does a function run over many values, with the answer at the end: maps, pairs and reductions?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from vine import errors
from vine.client.files import File

if TYPE_CHECKING:
    from vine.client.executor import Executor

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


class HigherOrder:
    """A manager's part that applies functions to sequences; they run as calls of an `Executor`, one core each.

    Each returns when all is done. What a function raises is raised: by `tree_reduce` as a DependencyFailed that
    tells it.
    """

    def map(self, fn: Callable[[A], T], seq: Iterable[A], chunksize: int = 1) -> list[T]:
        """[fn(value) for value in seq], `chunksize` values a call."""
        _check(chunksize, 1)
        with self._calls_on(None) as calls:
            return list(calls.map(fn, seq, chunksize=chunksize))

    def pair(
        self,
        fn: Callable[[tuple[A, B]], T],
        seq1: Iterable[A],
        seq2: Iterable[B],
        chunksize: int = 1,
        env: File | None = None,
    ) -> list[T]:
        """[fn((a, b)) for a in seq1 for b in seq2], `chunksize` pairs a call, on the environment `env`."""
        _check(chunksize, 1)
        with self._calls_on(env) as calls:
            return list(calls.map(fn, itertools.product(seq1, seq2), chunksize=chunksize))

    def tree_reduce(self, fn: Callable[[list[T]], T], seq: Iterable[T], chunksize: int = 2) -> T:
        """fn of lists of up to `chunksize` values, then of lists of what came of that, until one value is left.

        What comes of one call stays on its worker until the next takes it there. UsageError for no values at all.
        """
        _check(chunksize, 2)
        values: list[Any] = list(seq)
        if not values:
            raise errors.UsageError("tree_reduce() of nothing has no value: give at least one")
        if len(values) == 1:
            alone: T = values[0]
            return alone
        with self._calls_on(None) as calls:
            while len(values) > 1:
                values = [calls.submit(fn, chunk) for chunk in _chunks(values, chunksize)]
            reduced: T = values[0].result()
            return reduced

    @contextmanager
    def _calls_on(self, environment: File | None) -> Iterator[Executor]:
        from vine.client.executor import Executor
        from vine.client.manager import Manager

        assert isinstance(self, Manager), "it is a part of a manager"
        with Executor(self, environment=environment) as executor:
            yield executor


def _chunks(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """The last one may be a single value: fn gets that too, as it does in TaskVine."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def _check(chunksize: int, least: int) -> None:
    if isinstance(chunksize, bool) or not isinstance(chunksize, int) or chunksize < least:
        raise errors.UsageError(f"chunksize={chunksize!r} is no number of values a call: give {least} or more")
