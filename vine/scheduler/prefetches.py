"""Which waiting task is planned on which worker, and which workers may be asked to take another one?"""

from __future__ import annotations

from collections import Counter, OrderedDict
from itertools import islice

from vine import config
from vine.names import ObjectId, TaskId, WorkerId
from vine.scheduler.workers import WorkerRecord


class Prefetches:
    """Which task is planned where, and what is on its way for that."""

    def __init__(self) -> None:
        self.worker_of: dict[TaskId, WorkerId] = {}
        self.plans: dict[WorkerId, dict[TaskId, None]] = {}
        self.coming: dict[WorkerId, set[ObjectId]] = {}  # or has come
        self.passes: Counter[TaskId] = Counter()  # times that others were given a slot first
        self.done: set[TaskId] = set()  # for which nothing is to be sent ahead (any more)
        self.due = False  # something has happened that may let more be planned
        self._open: OrderedDict[WorkerId, None] = OrderedDict()  # may be asked; who will be free first comes first

    def load_changed(self, worker: WorkerRecord) -> None:
        """What comes free next was filled the longest ago."""
        self._open.pop(worker.worker_id, None)
        self.reopen(worker)

    def reopen(self, worker: WorkerRecord) -> None:
        """Its tasks have started, or its disk may have room now."""
        if worker.attempts and worker.worker_id not in self._open:
            self._open[worker.worker_id] = None
            self.due = True

    def close(self, worker_id: WorkerId) -> None:
        """It can take nothing more until something has changed."""
        self._open.pop(worker_id, None)

    def next_open(self) -> list[WorkerId]:
        return list(islice(self._open, config.prefetch_workers_probed_max))

    def passed_over(self, worker_id: WorkerId) -> None:
        """It does not suit a task, and others must have their turn."""
        if worker_id in self._open:
            self._open.move_to_end(worker_id)

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def plan(self, task_id: TaskId, worker_id: WorkerId) -> None:
        self.worker_of[task_id] = worker_id
        self.plans.setdefault(worker_id, {})[task_id] = None

    def forget(self, task_id: TaskId) -> None:
        """The task has been given to a worker, or is not planned any more."""
        worker_id = self.worker_of.pop(task_id, None)
        if worker_id is not None:
            plans = self.plans[worker_id]
            del plans[task_id]
            if not plans:
                del self.plans[worker_id]
        self.passes.pop(task_id, None)
        self.done.discard(task_id)

    def leave(self, worker_id: WorkerId) -> None:
        for task_id in list(self.plans.get(worker_id, ())):
            self.forget(task_id)
        self.coming.pop(worker_id, None)
        self._open.pop(worker_id, None)
