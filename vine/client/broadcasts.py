"""Which broadcasts are open, and how do their futures end?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from vine import config, errors
from vine.client.callbacks import Callback, DeferringFuture
from vine.names import FileId, WorkerId
from vine.wire.messages import FileSpread, SpreadFile
from vine.wire.parts import Outcome

CallBack = Callable[[Callback, "Future[Any]"], None]

_ERRORS: dict[Outcome, type[errors.VineError]] = {
    Outcome.INPUT_MISSING: errors.FileMissing,
    Outcome.INPUT_CHANGED: errors.FileChanged,
    Outcome.DISK_FULL: errors.DiskFull,
    Outcome.DEPENDENCY_FAILED: errors.DependencyFailed,
}


def request_of(number: int, file_id: FileId, workers: str | int | Iterable[str]) -> SpreadFile:
    """What a user means by `workers`."""
    if isinstance(workers, str):
        if workers != "all":
            raise errors.UsageError(f"workers={workers!r} names nobody: give 'all', a number, or a list of worker ids")
        return SpreadFile(number, file_id)
    if isinstance(workers, int):
        if isinstance(workers, bool) or not 1 <= workers <= config.workers_max:
            raise errors.UsageError(f"workers={workers!r} is no number of workers: give 'all', 1 or more, or a list")
        return SpreadFile(number, file_id, count=workers)
    try:
        names = tuple(dict.fromkeys(workers))
    except TypeError:
        raise errors.UsageError(f"workers={workers!r}: give 'all', a number, or a list of worker ids") from None
    if not names or not all(isinstance(name, str) and 0 < len(name) <= config.name_chars_max for name in names):
        raise errors.UsageError(f"workers={names!r} names nobody: give 'all', a number, or a list of worker ids")
    return SpreadFile(number, file_id, workers=tuple(WorkerId(name) for name in names))


class _Spread(DeferringFuture[int]):
    def __init__(self, call_back: CallBack) -> None:
        super().__init__()
        self._call_back = call_back

    def call_back(self, callback: Callback, future: Future[Any]) -> None:
        self._call_back(callback, future)


class Broadcasts:
    """The futures that wait; whoever takes one out is the one to resolve it."""

    def __init__(self, call_back: CallBack) -> None:
        self._call_back = call_back
        self._open: dict[int, _Spread] = {}
        self._requests: dict[int, SpreadFile] = {}
        self._numbers = itertools.count(1)

    def request(self, file_id: FileId, workers: str | int | Iterable[str]) -> SpreadFile:
        request = request_of(next(self._numbers), file_id, workers)
        self._requests[request.request] = request
        return request

    def expect(self, number: int) -> Future[int]:
        self._open[number] = future = _Spread(self._call_back)
        return future

    def asked(self) -> list[SpreadFile]:
        """What has not been answered yet."""
        return [request for number, request in self._requests.copy().items() if number in self._open]

    def open_numbers(self) -> list[int]:
        return list(self._open)

    def heard(self, answer: FileSpread) -> None:
        future = self._open.pop(answer.request, None)
        self._requests.pop(answer.request, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if answer.outcome is Outcome.SUCCESS:
            future.set_result(answer.workers)
        else:
            future.set_exception(_ERRORS.get(answer.outcome, errors.BroadcastFailed)(answer.message))

    def disowned(self, error: errors.VineError) -> None:
        """This process is a forked child."""
        while self._open:
            self._open.popitem()[1].disowned(error)

    def broken(self, number: int, error: errors.VineError) -> None:
        """No answer will come any more."""
        future = self._open.pop(number, None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_exception(error)
