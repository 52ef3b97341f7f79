"""What does an executor own, and when does it end: its manager, its factory, its open calls?"""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from vine import config, errors
from vine.client.factory import Factory
from vine.client.futures import VineFuture
from vine.client.manager import Manager, close_all
from vine.client.session import anew
from vine.names import TaskId
from vine.wire.messages import CancelTasks


class Pool:
    """What an executor and all that `options` made of it share: the manager, the factory, the end."""

    def __init__(self, manager: Manager, owned: bool) -> None:
        self.manager = manager
        self.owned = owned
        self.closed = False
        self.error: errors.VineError | None = None
        self.factory: Factory | None = None

    def open_futures(self) -> list[VineFuture[Any]]:
        found = (task for _, task in self.manager.session.open_tasks())
        return [task for task in found if isinstance(task, VineFuture) and task.pool is self]

    def start_factory(self, options: Mapping[str, Any]) -> None:
        self.factory = Factory(manager=self.manager, **options)
        self.manager.before_close(self._close)
        self.factory.start_unheard(self._factory_lost)

    def _factory_lost(self, error: errors.FactoryLost) -> None:
        self.error = error
        self.fail_open(functools.partial(anew, error))

    def fail_open(self, error: Callable[[], BaseException]) -> None:
        """Cancel the calls that are open, and end each future with an error of its own."""
        for future in self.open_futures():
            if self.manager.session.claim(future.task_id) is not None:
                self.manager.session.cancel_task(future.task_id)
                future.broken(error())

    def _close(self) -> None:
        self.closed = True

    def cancel(self) -> None:
        for future in self.open_futures():
            future.cancel()

    def cancel_waiting(self) -> None:
        """Those that run are left alone: which do, the manager knows."""
        told: list[TaskId] = []
        for future in self.open_futures():
            if future.waits_here:
                future.cancel()
            else:
                told.append(future.task_id)
        for start in range(0, len(told), config.drained_items_max):
            part = tuple(told[start : start + config.drained_items_max])
            self.manager.session.say(CancelTasks(part, unless_running=True))

    def await_and_end(self) -> None:
        """The calls that are open may end; then what was started here is stopped."""
        self.closed = True
        try:
            concurrent.futures.wait(self.open_futures())
            self.manager.session.await_deliveries()  # A result that is being unpickled is no open future any more.
        except KeyboardInterrupt:
            self.cancel()  # Or the interpreter's end would wait for them once more.
            raise
        with contextlib.suppress(ValueError):  # Several threads may get here.
            _open_pools.remove(self)
        if self.manager.closed:
            return
        if self.owned:
            self.manager.close()
        elif self.factory is not None:
            self.factory.stop()


def fleet(workers: int | None, few: int | None, many: int | None, needed: bool) -> tuple[int, int]:
    """The least and the most workers that a factory is to keep; 0, 0 for no factory."""
    if workers is not None and (few is not None or many is not None):
        raise errors.UsageError("workers= is for a fixed number: leave it out with min_workers= or max_workers=")
    for number in (workers, few, many):
        if number is not None and (not isinstance(number, int) or number < 0):
            raise errors.UsageError(f"{number!r} is no number of workers")
    if workers is not None:
        few = many = workers
    if few is None and many is None:
        return (1, 1) if needed else (0, 0)
    few = 0 if few is None else few
    many = max(few, 1) if many is None else many
    if few > many:
        raise errors.UsageError(f"min_workers={few} is more than max_workers={many}: swap them")
    return few, many


_open_pools: list[Pool] = []


def opened(pool: Pool) -> None:
    """The interpreter's end waits for the calls of this one."""
    _open_pools.append(pool)


def _at_exit() -> None:
    """As `concurrent.futures` promises: the program ends when the submitted calls have."""
    try:
        for pool in list(_open_pools):
            if _interrupted():
                pool.cancel()
            pool.await_and_end()
    finally:
        close_all()


def _interrupted() -> bool:
    """Whether a Ctrl-C ends this program; in an interactive one it has ended a statement only."""
    return getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1")


atexit.register(_at_exit)
