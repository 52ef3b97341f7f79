"""What do tasks have in common that may be placed on the same workers, and which workers are these?"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from vine import config
from vine.names import FileId
from vine.scheduler.categories import Category
from vine.scheduler.libraries import LibraryRecord
from vine.scheduler.queues import Entry, Queue
from vine.scheduler.wall_times import lasts
from vine.scheduler.workers import WorkerRecord, allot, could_fit, has_features, has_room, has_room_beside
from vine.wire.parts import Request, Resources

IndexEntry = tuple[float, int, int, WorkerRecord]  # load, when it joined, the number of its last change, the worker

_NOTHING_ASKED = Request()
_ROUNDING = 1e-6  # Loads are sums of fractions.


def _all_of(request: Request, capacity: Resources) -> Resources:
    """The whole worker; of its GPUs those that are asked for."""
    return msgspec.structs.replace(capacity, gpus=request.gpus or 0.0)


@dataclass(slots=True, eq=False)
class Shape:
    """Tasks that ask for the same and may be queued equally far ahead, whatever they run."""

    key: str
    ahead: int  # of what a worker can run at once, so many times as much may be queued there
    request: Request
    features: tuple[str, ...]
    strict: tuple[FileId, ...]  # inputs that its workers must have already
    category: Category | None
    asked: Request = _NOTHING_ASKED  # without the category's figures
    at_maximum: bool = False
    alone: bool = False  # Each of its tasks is given all of a worker.
    time_min_s: float = 0.0  # its workers must live for so long ...
    now: float = 0.0  # ... from now on, as far as that is looked at
    library: LibraryRecord | None = None  # of which its tasks are calls
    queue: Queue = field(default_factory=Queue)
    index: list[IndexEntry] = field(default_factory=list)  # a heap; see loads.py
    seen: int = 0  # the changes of load that the index knows of
    blocked: bool = False  # Nobody had room when it was looked at, and nobody has come to have any by what is `seen`.
    allotments: dict[Resources, Resources | None] = field(default_factory=dict)  # by a worker's capacity
    _capacity: Resources | None = None  # that was asked for last ...
    _allotment: Resources | None = None  # ... and what was found for it
    first: Entry | None = None  # the head of the queue when that was looked at last ...
    first_since: float = 0.0  # ... and since when it has been
    unfit_since: float | None = None  # when it was first seen to fit no worker that could come

    def allotment(self, capacity: Resources) -> Resources | None:
        """What a task of this shape is given of such a worker; None if it could never fit."""
        if capacity is self._capacity:  # Asked for every head of a queue whenever a task ends, and most are alike.
            return self._allotment
        try:
            allotment = self.allotments[capacity]
        except KeyError:
            if len(self.allotments) >= config.capacities_kept_max:
                self.allotments.clear()  # Workers come and go, and hardly two find as much room on their disks.
            fits = could_fit(self.request, capacity)
            given = _all_of if self.alone else allot
            allotment = self.allotments[capacity] = given(self.request, capacity) if fits else None
        self._capacity, self._allotment = capacity, allotment
        return allotment

    def look_anew(self) -> None:
        """What it asks for, or who may be given it, has changed: what was found out does not count."""
        self.allotments.clear()
        self.index.clear()
        self.seen = 0
        self._capacity = self._allotment = None

    def in_time(self, worker: WorkerRecord, allotment: Resources) -> bool:
        """Whether a task of the shape has as much time on the worker as it needs: it must not queue there."""
        return not self.time_min_s or (lasts(worker, self.time_min_s, self.now) and has_room(worker, allotment))

    @property
    def full(self) -> bool:
        """Whether as many tasks of its category run as may."""
        return self.category is not None and self.category.full

    def usable(self, worker: WorkerRecord) -> bool:
        """Whether the worker may be given one more task of the shape, to run or to queue."""
        return self.given(worker) is not None

    def given(self, worker: WorkerRecord) -> Resources | None:
        """What one more task of the shape is given of the worker, to run or to queue there; None if it may not be."""
        if not worker.open or (worker.attempts_max is not None and len(worker.attempts) >= worker.attempts_max):
            return None
        if worker.no_room and self.key in worker.no_room:
            return None
        allotment = self.allotment(worker.capacity)
        if allotment is None or (self.features and not has_features(worker, self.features)):
            return None
        if self.time_min_s and not self.in_time(worker, allotment):
            return None
        kept = worker.reserved
        if kept is not None and kept.shape != self.key and not has_room_beside(worker, kept.allotment, allotment):
            return None
        if self.library is not None:
            if worker.worker_id in self.library.failed_on:
                return None
            if (share := worker.libraries.get(self.library.number)) is not None:
                return allotment if len(share.attempts) < share.slots * (1 + self.ahead) else None
        # A long task is not queued: it would wait there though another worker had room first.
        if (self.ahead and worker.load < 1 + self.ahead - _ROUNDING) or has_room(worker, allotment):
            return allotment
        return None

    def suits(self, worker: WorkerRecord, now: float) -> bool:
        """Whether the worker, were it empty, might be given a task of the shape now."""
        if self.library is not None and worker.worker_id in self.library.failed_on:
            return False
        fits = worker.open and self.key not in worker.no_room and self.allotment(worker.capacity) is not None
        return fits and has_features(worker, self.features) and lasts(worker, self.time_min_s, now)

    def runs_at_once(self, worker: WorkerRecord) -> bool:
        """Whether a worker that is usable would run one more now, not queue it."""
        if self.library is not None and (share := worker.libraries.get(self.library.number)) is not None:
            return len(share.attempts) < share.slots
        allotment = self.allotment(worker.capacity)
        return allotment is not None and has_room(worker, allotment)
