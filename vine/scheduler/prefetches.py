"""Which waiting task is planned on which worker, and which workers may be asked to take another one?"""

from __future__ import annotations

from collections import Counter, OrderedDict
from itertools import islice

from vine import config
from vine.names import ObjectId, TaskId, WorkerId
from vine.scheduler.queues import Entry, Queue
from vine.scheduler.tasks import TaskRecord
from vine.scheduler.workers import WorkerRecord


class Prefetches:
    """What waits to be planned, what is planned where, and what is on its way for that."""

    def __init__(self) -> None:
        self.queues: dict[str, Queue] = {}  # by what tasks ask for; of those that have inputs
        self.worker_of: dict[TaskId, WorkerId] = {}
        self.plans: dict[WorkerId, dict[TaskId, tuple[str, Entry]]] = {}
        self.coming: dict[WorkerId, set[ObjectId]] = {}  # or has come by now
        self.passes: Counter[TaskId] = Counter()  # times that others were given a slot first
        self.due = False  # something has happened that may let more be planned
        self._open: OrderedDict[WorkerId, None] = OrderedDict()  # may be asked; who will be free first comes first
        self._sequence = 0

    # --- tasks ---

    def push(self, record: TaskRecord) -> None:
        """The task waits for a slot."""
        spec = record.spec
        if spec.inputs or spec.environment is not None or spec.payload_file is not None:
            self._sequence += 1
            self._enter(record.shape, (-spec.priority or 0.0, self._sequence, record.task_id))
            self.due = True

    def _enter(self, shape: str, entry: Entry) -> None:
        queue = self.queues.get(shape)
        if queue is None:
            queue = self.queues[shape] = Queue()
        queue.push(entry)

    def plan(self, shape: str, entry: Entry, worker_id: WorkerId) -> None:
        task_id = entry[2]
        self.worker_of[task_id] = worker_id
        self.plans.setdefault(worker_id, {})[task_id] = (shape, entry)

    def forget(self, task_id: TaskId) -> tuple[str, Entry] | None:
        """The task has been given to a worker, or is not planned any more; returns its place in the queues."""
        worker_id = self.worker_of.pop(task_id, None)
        if self.passes:
            self.passes.pop(task_id, None)
        if worker_id is None:
            return None
        plans = self.plans[worker_id]
        place = plans.pop(task_id)
        if not plans:
            del self.plans[worker_id]
        return place

    def plan_again(self, task_id: TaskId) -> None:
        """It will not find its inputs where it was planned."""
        place = self.forget(task_id)
        if place is not None:
            shape, entry = place
            self._enter(shape, entry)
            self.due = True

    # --- workers ---

    def open(self, worker: WorkerRecord) -> None:
        """Its tasks have started, or its disk may have room now. Who started the longest ago will be free first."""
        worker_id = worker.worker_id
        if worker_id not in self._open and not self.is_full(worker):
            self._open[worker_id] = None
            self.due = bool(self.queues)

    def close(self, worker_id: WorkerId) -> None:
        """It can take nothing more until something has changed."""
        self._open.pop(worker_id, None)

    def is_full(self, worker: WorkerRecord) -> bool:
        """Whether as many tasks are planned there as may end before others come."""
        return len(self.plans.get(worker.worker_id, ())) >= len(worker.attempts)

    def is_open(self, worker_id: WorkerId) -> bool:
        return worker_id in self._open

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def next_open(self) -> list[WorkerId]:
        return list(islice(self._open, config.prefetch_workers_probed_max))

    def passed_over(self, worker_id: WorkerId) -> None:
        """It does not suit a task, and others must have their turn."""
        if worker_id in self._open:
            self._open.move_to_end(worker_id)

    def leave(self, worker_id: WorkerId) -> None:
        for task_id in list(self.plans.get(worker_id, ())):
            self.plan_again(task_id)
        self.coming.pop(worker_id, None)
        self._open.pop(worker_id, None)
