"""Which tasks has this program submitted and not got back yet, and which of them have ended?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vine.names import TaskId

if TYPE_CHECKING:
    from vine.client.tasks import Task


class Backlog:
    """Filled by submissions, ended by the completion thread, emptied by whoever waits; from any thread."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._open: dict[TaskId, Task] = {}  # in the order of submission
        self._tags: dict[TaskId, str] = {}  # as they were at submission
        self._tagged: dict[str, dict[TaskId, Task]] = {}  # the same by tag
        self._ended: dict[TaskId, Task] = {}  # those of them that have ended, in that order
        self._ended_tagged: dict[str, dict[TaskId, Task]] = {}
        self._over = False

    def add(self, task_id: TaskId, task: Task) -> Task:
        with self._news:
            self._open[task_id] = task
            self._tags[task_id] = task.tag
            self._tagged.setdefault(task.tag, {})[task_id] = task
        return task

    def drop(self, task_id: TaskId) -> None:
        """It was not submitted after all, if it is here."""
        with self._news:
            if self._open.pop(task_id, None) is not None:
                _remove(self._tagged, self._tags.pop(task_id), task_id)
                self._news.notify_all()

    def ended(self, task: Task) -> None:
        assert task.id is not None
        with self._news:
            if task.id in self._open:
                self._ended[task.id] = task
                self._ended_tagged.setdefault(self._tags[task.id], {})[task.id] = task
                self._news.notify_all()

    def over(self) -> None:
        """No other task will end: nobody waits any more."""
        with self._news:
            self._over = True
            self._news.notify_all()

    def ids(self, tag: str | None = None) -> list[TaskId]:
        """Those that are open, in the order of their submission."""
        with self._news:
            return list(self._open if tag is None else self._tagged.get(tag, ()))

    def tasks(self) -> list[tuple[TaskId, Task]]:
        with self._news:
            return list(self._open.items())

    @property
    def empty(self) -> bool:
        return not self._open

    def take(self, timeout: float | None) -> Task | None:
        """The one that ended first; None when the time is up, none is open, or the run is over."""
        return self._take(lambda: next(iter(self._ended.values()), None), lambda: bool(self._open), timeout)

    def take_tagged(self, tag: str, timeout: float | None) -> Task | None:
        return self._take(
            lambda: next(iter(self._ended_tagged.get(tag, {}).values()), None), lambda: tag in self._tagged, timeout
        )

    def take_one(self, task_id: TaskId, timeout: float | None) -> Task | None:
        return self._take(lambda: self._ended.get(task_id), lambda: task_id in self._open, timeout)

    def _take(self, find: Callable[[], Task | None], is_open: Callable[[], bool], timeout: float | None) -> Task | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._news:
            while (task := find()) is None:
                wait_s = None if deadline is None else deadline - time.monotonic()
                if self._over or not is_open() or (wait_s is not None and wait_s <= 0):
                    return None
                self._news.wait(wait_s)
            assert task.id is not None
            del self._open[task.id], self._ended[task.id]
            tag = self._tags.pop(task.id)
            _remove(self._tagged, tag, task.id)
            _remove(self._ended_tagged, tag, task.id)
            self._news.notify_all()  # Others may wait for what nobody can get any more.
            return task


def _remove(by_tag: dict[str, dict[TaskId, Task]], tag: str, task_id: TaskId) -> None:
    tagged = by_tag[tag]
    del tagged[task_id]
    if not tagged:
        del by_tag[tag]
