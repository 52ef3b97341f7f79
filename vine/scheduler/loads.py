"""Which worker with room for a shape is the emptiest: an index of each shape that hears of loads when it is asked.

A worker's load changes with every task, and of the shapes few are looked at for each: so changes are only noted, in
their order, and an index takes in those that it does not know yet. Entries that have been overtaken stay where they
lie until they come to the front.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Set

from vine.names import WorkerId
from vine.scheduler.shapes import IndexEntry, Shape
from vine.scheduler.workers import WorkerRecord

_SCANNED_MAX = 64  # Of more than that an index is asked, or they are not told apart.
_STALE_MIN = 64  # Entries of an index, or of the changes, that are not worth a clearance.


class Loads:
    """The workers, and who of them has been given something or has ended something since when."""

    def __init__(self) -> None:
        self.workers: dict[WorkerId, WorkerRecord] = {}
        self.changes = 0  # of loads, of all workers
        self._joins = 0
        self.moved: dict[WorkerId, WorkerRecord] = {}  # whose loads have changed since somebody has cleared this
        self._changed: list[tuple[int, WorkerRecord]] = []  # by the number of the change; only a worker's last counts
        self._clear_at = 0  # the change with which it is time to forget those that have been overtaken

    def add(self, worker: WorkerRecord) -> None:
        self.workers[worker.worker_id] = worker
        self._joins += 1
        worker.joined = self._joins

    def remove(self, worker_id: WorkerId) -> None:
        self.workers.pop(worker_id).loads = 0
        self.moved.pop(worker_id, None)

    def change(self, worker: WorkerRecord) -> None:
        """Cheap, for a batch changes a load many times: the shapes look when they are asked."""
        self.changes = worker.loads = number = self.changes + 1
        self.moved[worker.worker_id] = worker
        self._changed.append((number, worker))
        if number > self._clear_at:
            self._changed = [(each, known) for each, known in self._changed if known.loads == each]
            self._clear_at = number + len(self.workers) + _STALE_MIN

    def changed_since(self, seen: int) -> Iterator[WorkerRecord]:
        """Those whose last change was after that one, the latest first."""
        for number, worker in reversed(self._changed):
            if number <= seen:
                return
            if worker.loads == number:
                yield worker

    def emptiest(self, shape: Shape, avoid: Set[WorkerId], places: set[WorkerId] | None) -> WorkerRecord | None:
        """The usable worker with the least load, and of equal ones that which came first; of `places` if given."""
        if places is not None and len(places) <= _SCANNED_MAX:
            few_there = [self.workers[worker_id] for worker_id in sorted(places - avoid)]
            return min((w for w in few_there if shape.usable(w)), key=lambda w: w.load, default=None)
        self.tell(shape)
        passed: list[IndexEntry] = []
        found, index = None, shape.index
        while index:
            _, _, number, worker = index[0]
            if worker.loads != number or not shape.usable(worker):
                heapq.heappop(index)
            elif worker.worker_id in avoid or (places is not None and worker.worker_id not in places):
                passed.append(heapq.heappop(index))
            else:
                found = worker
                break
        for entry in passed:
            heapq.heappush(index, entry)
        return found

    def tell(self, shape: Shape) -> None:
        """Let the shape's index know of the loads that have changed since it was asked last."""
        if shape.seen == self.changes:
            return
        for worker in self.changed_since(shape.seen):
            if shape.usable(worker):
                self._enter(shape, worker)
        shape.seen = self.changes

    def _enter(self, shape: Shape, worker: WorkerRecord) -> None:
        shape.blocked = False
        heapq.heappush(shape.index, _entry(worker))
        if len(shape.index) > 2 * len(self.workers) + _STALE_MIN:
            # Most are stale: of loads that were, above the lowest one, where nobody looks.
            shape.index = [_entry(known) for known in self.workers.values() if shape.usable(known)]
            heapq.heapify(shape.index)


def _entry(worker: WorkerRecord) -> IndexEntry:
    return (worker.load, worker.joined, worker.loads, worker)


def few(holders: Set[WorkerId]) -> Iterable[WorkerId]:
    """The holders worth comparing, in a stable order; none where there are too many to tell apart."""
    return sorted(holders) if len(holders) <= _SCANNED_MAX else ()
