"""What is still to be said to the manager: filled by any thread, emptied in batches by the IO thread."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from vine import config
from vine.names import FileId, TaskId
from vine.wire.messages import (
    AwaitWorkers,
    CancelTasks,
    DeclareFiles,
    ForgetFiles,
    ForgetResults,
    FromClient,
    InstallLibrary,
    SetCategory,
    SetHosts,
    SubmitTasks,
)
from vine.wire.parts import FileSpec, TaskSpec

Spec = TypeVar("Spec", TaskSpec, FileSpec)
Number = TypeVar("Number", TaskId, FileId)
Item = TaskSpec | FileSpec | FromClient

_TASK_OVERHEAD_BYTES = 200  # About what a task takes on the wire beside its payload and command.
_FILE_OVERHEAD_BYTES = 300


_POLICIES = (SetCategory, SetHosts, AwaitWorkers, InstallLibrary)


class Outbox:
    """Order kept: what is put in later is never sent before what it may build on.

    Putting is a deque's append, which needs no lock. The IO thread is woken only when it says that it sleeps. A thread
    that submits without a pause holds Python's lock, and would be heard when it has submitted a thousand tasks: so it
    gives way to the IO thread now and then, and that waits a moment for so many instead of being woken for each.
    """

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._cancelled: deque[TaskId] = deque()
        self._forgotten: deque[TaskId] = deque()
        self._forgotten_files: deque[FileId] = deque()
        self._asleep = False
        self._in_burst = False  # So many tasks came since the last look that more will follow at once.
        self._room = threading.Condition()
        self._crowded = False
        self._closed = False
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __del__(self) -> None:
        os.close(self.wake_fd)  # Only now can nobody be about to write to it.

    def __len__(self) -> int:
        return len(self._items) + len(self._cancelled) + len(self._forgotten) + len(self._forgotten_files)

    def put(self, item: Item) -> None:
        self._items.append(item)
        if self._asleep:
            self.wake()

    def put_task(self, spec: TaskSpec) -> None:
        """As `put`, but gives way to the IO thread when many are unsent, and waits when too many are.

        What ends that, such as a Ctrl-C, leaves the task unsent.
        """
        unsent = len(self._items)
        if unsent >= config.burst_items:
            self._give_way(unsent)
        self._items.append(spec)
        if self._asleep:
            self.wake()

    def cancel(self, task_id: TaskId) -> None:
        self._cancelled.append(task_id)
        if self._asleep:
            self.wake()

    def forget(self, task_id: TaskId) -> None:
        """Cheap, from any thread, also from a destructor; goes out with whatever goes next."""
        self._forgotten.append(task_id)

    def forget_file(self, file_id: FileId) -> None:
        """As `forget`, of a file: a Ctrl-C in a destructor is lost, and waking takes long enough for one to come."""
        self._forgotten_files.append(file_id)

    def wake(self) -> None:
        self._asleep = False
        os.eventfd_write(self.wake_fd, 1)

    def may_sleep(self) -> bool:
        """IO thread: from now on wake me; False if there is something to say already, or more is about to come."""
        self._asleep = not self._in_burst
        # Looked at after the flag is up: what came before it is seen here, what comes later wakes us.
        if self._items or self._cancelled:
            self._asleep = False
        return self._asleep

    @property
    def rest_s(self) -> float:
        """IO thread: how long to wait for more though it may not sleep: in a burst until there is some to send."""
        return config.burst_hold_s if self._in_burst and len(self._items) < config.burst_items else 0.0

    def awake(self) -> None:
        """IO thread: I look at the queue anyway."""
        self._asleep = False
        try:
            os.eventfd_read(self.wake_fd)
        except BlockingIOError:
            return  # It was the socket or the clock that woke us.

    def close(self) -> None:
        """Nothing goes out any more; whoever waits for room goes on."""
        self._closed = True
        with self._room:
            self._room.notify_all()

    def take(self) -> list[FromClient]:
        """IO thread: the next messages, in an order in which each is understood.

        Files are declared before the tasks that name them, and how tasks are to be run is said before any of them, for
        it holds for those that wait already, too; so are their libraries. Cancellations, and words that files or
        results are not needed any more, follow the tasks that were put in before them.
        """
        # Counted first: a future that has been dropped by now was passed to tasks put in before now.
        cancelled, forgotten, files_forgotten = len(self._cancelled), len(self._forgotten), len(self._forgotten_files)
        tasks, files, others, emptied = self._pop_items()
        self._in_burst = len(tasks) >= config.burst_items
        messages: list[FromClient] = []
        messages += [DeclareFiles(part) for part in _parts(files, _file_bytes)]
        messages += [message for message in others if isinstance(message, _POLICIES)]
        messages += [SubmitTasks(part) for part in _parts(tasks, _task_bytes)]
        if emptied:
            others += [ForgetFiles(ids) for ids in _id_parts(self._forgotten_files, files_forgotten)]
        messages += _with_merged_forgets([message for message in others if not isinstance(message, _POLICIES)])
        if emptied:
            messages += [CancelTasks(ids) for ids in _id_parts(self._cancelled, cancelled)]
            messages += [ForgetResults(ids) for ids in _id_parts(self._forgotten, forgotten)]
        if self._crowded and len(self._items) < config.queued_submissions_max // 2:
            with self._room:
                self._crowded = False
                self._room.notify_all()
        return messages

    def _pop_items(self) -> tuple[list[TaskSpec], list[FileSpec], list[FromClient], bool]:
        tasks: list[TaskSpec] = []
        files: list[FileSpec] = []
        others: list[FromClient] = []
        items = self._items
        for _ in range(config.drained_items_max):
            if not items:
                return tasks, files, others, True
            item = items.popleft()
            if isinstance(item, TaskSpec):
                tasks.append(item)
            elif isinstance(item, FileSpec):
                files.append(item)
            else:
                others.append(item)
        return tasks, files, others, not items

    def _give_way(self, unsent: int) -> None:
        """Let the IO thread run, which otherwise waits for Python's switch interval, and the whole run for it."""
        if unsent >= config.queued_submissions_max:
            self._await_room()
        elif not unsent % config.burst_items:
            self.wake()
            time.sleep(config.give_way_s)

    def _await_room(self) -> None:
        with self._room:
            self._crowded = True
            while self._crowded and not self._closed:
                if self._asleep:
                    self.wake()
                self._room.wait(config.heartbeat_interval_s)


def _task_bytes(spec: TaskSpec) -> int:
    return _TASK_OVERHEAD_BYTES + len(spec.payload) + len(spec.command)


def _file_bytes(spec: FileSpec) -> int:
    return _FILE_OVERHEAD_BYTES + len(spec.data or b"")


def _parts(items: list[Spec], size_of: Callable[[Spec], int]) -> Iterator[tuple[Spec, ...]]:
    """Cut where a batch on the wire would be closed."""
    part: list[Spec] = []
    part_bytes = 0
    for item in items:
        size = size_of(item)
        if part and (part_bytes + size > config.batch_bytes_target or len(part) >= config.message_items_max):
            yield tuple(part)
            part, part_bytes = [], 0
        part.append(item)
        part_bytes += size
    if part:
        yield tuple(part)


def _id_parts(ids: deque[Number], count: int) -> list[tuple[Number, ...]]:
    taken = [ids.popleft() for _ in range(count)]
    step = config.drained_items_max
    return [tuple(taken[start : start + step]) for start in range(0, count, step)]


def _with_merged_forgets(messages: list[FromClient]) -> list[FromClient]:
    """One ForgetFiles at the end instead of many: forgetting later is always right."""
    forgotten = [file_id for message in messages if isinstance(message, ForgetFiles) for file_id in message.file_ids]
    kept: list[FromClient] = [message for message in messages if not isinstance(message, ForgetFiles)]
    return [*kept, ForgetFiles(tuple(forgotten))] if forgotten else kept
