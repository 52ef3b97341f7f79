"""Which ready task next, and on which worker: equal needs are one shape, each shape an index of workers.

A decision looks at the emptiest worker with room and at the holders of the task's inputs, never at
all workers or all tasks: so its cost stays flat as both grow.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from vine import config
from vine.names import FileId, TaskId, WorkerId
from vine.scheduler.categories import Category
from vine.scheduler.queues import Entry, Queue
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.wall_times import lasts
from vine.scheduler.workers import WorkerRecord, allot, could_fit, has_features, has_room
from vine.wire.parts import Request, Resources

_HOLDERS_SCANNED_MAX = 64  # A file that more workers hold hardly tells them apart.
_STALE_MIN = 64  # Entries of an index that are not worth a clearance.
_DURATION_WEIGHT = 0.2  # Of the newest duration in the running mean.


_NOTHING_ASKED = Request()


@dataclass(slots=True)
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
    time_min_s: float = 0.0  # its workers must live for so long ...
    now: float = 0.0  # ... from now on, as far as that is looked at
    queue: Queue = field(default_factory=Queue)
    index: list[tuple[float, int, WorkerId, int]] = field(
        default_factory=list
    )  # heap of (load, joined, worker, version)
    seen: int = 0  # the changes of load that the index knows of
    blocked: bool = False  # Nobody had room when it was looked at, and nobody has come to have any by what is `seen`.
    allotments: dict[Resources, Resources | None] = field(default_factory=dict)  # by a worker's capacity
    unfit_since: float | None = None  # when it was first seen to fit no worker that could come

    def in_time(self, worker: WorkerRecord, allotment: Resources) -> bool:
        """Whether a task of the shape has as much time on the worker as it needs: it must not queue there."""
        return not self.time_min_s or (lasts(worker, self.time_min_s, self.now) and has_room(worker, allotment))

    def allotment(self, capacity: Resources) -> Resources | None:
        """What a task of this shape is given of such a worker; None if it could never fit."""
        try:
            return self.allotments[capacity]
        except KeyError:
            fits = could_fit(self.request, capacity)
            allotment = self.allotments[capacity] = allot(self.request, capacity) if fits else None
            return allotment


class Durations:
    """How long tasks take that run the same; tells how many of them to queue ahead of time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, int]] = {}  # mean in seconds, and how many to queue

    def observe(self, body: str, run_s: float) -> bool:
        """Returns whether as many as before are to be queued."""
        known = self._known.pop(body, None)
        mean_s = run_s if known is None else known[0] + _DURATION_WEIGHT * (run_s - known[0])
        fit = min(config.prefetch_tasks_max, int(config.prefetch_target_s / max(mean_s, 1e-6)))
        self._known[body] = mean_s, 1 << fit.bit_length() - 1 if fit else 0
        if len(self._known) > config.durations_kept_max:
            del self._known[next(iter(self._known))]  # The one that was seen last the longest time ago.
        return known is not None and known[1] == self._known[body][1]

    def ahead(self, body: str) -> int:
        """A power of two or none, so that there are few shapes."""
        known = self._known.get(body)
        return 0 if known is None else known[1]


class Placement:
    """The ready tasks and the workers with room for them."""

    def __init__(self) -> None:
        self.shapes: dict[tuple[str, int], Shape] = {}
        self.durations = Durations()
        self.workers: dict[WorkerId, WorkerRecord] = {}
        self._versions: dict[WorkerId, int] = {}  # by their last change of load, the latest one last
        self._joined: dict[WorkerId, int] = {}
        self._joins = 0
        self._loads = 0
        self._sequence = 0
        self._strict: set[FileId] = set()  # of all shapes
        self.due = False  # something has changed that may let a task find a worker
        self._timed: list[Shape] = []  # those to which the time matters
        self._now = 0.0

    # --- what changes -----------------------------------------------------------------------

    def add_worker(self, worker: WorkerRecord) -> None:
        self.workers[worker.worker_id] = worker
        self._joins += 1
        self._joined[worker.worker_id] = self._joins
        self.load_changed(worker)

    def remove_worker(self, worker_id: WorkerId) -> None:
        del self.workers[worker_id], self._versions[worker_id], self._joined[worker_id]

    def load_changed(self, worker: WorkerRecord) -> None:
        """Cheap, for a batch changes a load many times: the shapes look when they are asked."""
        self._loads += 1  # Never counted anew for a worker that comes back: its old entries must not count.
        self.due = True
        self._versions.pop(worker.worker_id, None)
        self._versions[worker.worker_id] = self._loads

    def ran(self, record: TaskRecord, run_s: float) -> None:
        """The task has run so long; what is learnt of tasks like it may let them be queued elsewhere."""
        if not self.durations.observe(record.body, run_s):
            for shape in self.shapes.values():
                shape.blocked = False

    def copies_came(self, files: Set[FileId]) -> None:
        """A worker has come to hold what these files stand for: it may be the place of a task that must be there."""
        if not self._strict.isdisjoint(files):
            self.due = True

    def push(self, record: TaskRecord) -> None:
        """The task is ready. One that was ready before keeps no place: it went first once already."""
        self._sequence += 1
        self.due = True
        self.shape_of(record).queue.push((-record.spec.priority or 0.0, self._sequence, record.task_id))

    def shape_of(self, record: TaskRecord) -> Shape:
        name = (record.shape, self.durations.ahead(record.body))
        shape = self.shapes.get(name)
        if shape is None:
            spec = record.spec
            strict = () if spec.policy is None else spec.policy.strict
            shape = self.shapes[name] = Shape(*name, record.request, spec.features, strict, record.category)
            shape.asked, shape.at_maximum = spec.request, record.at_maximum
            if spec.policy is not None and spec.policy.time_min_s:
                shape.time_min_s, shape.now = spec.policy.time_min_s, self._now
                self._timed.append(shape)
            self._strict.update(strict)
        return shape

    def category_changed(self, category: Category) -> None:
        """Its tasks ask for something else from now on, or more of them may run: those that wait do not move."""
        self.due = True
        for shape in self.shapes.values():
            if shape.category is category:
                shape.request = category.fill(shape.asked, shape.at_maximum)
                shape.allotments.clear()
                shape.index.clear()
                shape.seen = 0

    def tell_time(self, now: float) -> None:
        self._now = now
        for shape in self._timed:
            shape.now = now

    def discard_ended(self, tasks: dict[TaskId, TaskRecord]) -> None:
        """Forget tasks that do not wait any more, at the head of queues at which nobody has looked since."""
        for shape in self.shapes.values():
            while shape.queue and not _waits(tasks.get(shape.queue.head[2])):
                shape.queue.pop()

    def discard_empty_shapes(self) -> None:
        """Forget shapes without tasks, once there are so many that each change of load costs."""
        idle = [name for name, shape in self.shapes.items() if not shape.queue]
        for name in idle[: max(0, len(idle) - config.idle_shapes_max)]:
            del self.shapes[name]
        if idle and self._strict:
            self._strict = {file_id for shape in self.shapes.values() for file_id in shape.strict}
        if idle and self._timed:
            self._timed = [shape for shape in self.shapes.values() if shape.time_min_s]

    # --- what is decided ----------------------------------------------------------------------

    def next_pairs(
        self,
        tasks: dict[TaskId, TaskRecord],
        holders: Callable[[TaskRecord], Iterable[tuple[WorkerId, float]]],
        places: Callable[[Shape], set[WorkerId]],
        instead: Callable[[TaskRecord, WorkerRecord], TaskRecord],
        assign: Callable[[TaskRecord, WorkerRecord, Resources], None],
    ) -> None:
        """Pair ready tasks with workers, best task first, until no shape finds room; if none can, find that out once.

        `holders` yields (worker, bytes of the task's inputs that it holds or will hold soon).
        `places` are the workers that have the strict inputs of a shape.
        `instead` names the task to be given to a worker that was chosen for this one: another of its shape, or itself.
        `assign` must load the worker with the allotment before it returns.
        """
        loads, pushed, assigned = self._loads, self._sequence, 0
        order = [
            (*shape.queue.head[:2], name)
            for name, shape in self.shapes.items()
            if shape.queue and not self._is_blocked(shape)
        ]
        heapq.heapify(order)
        put_aside: list[tuple[Shape, Entry]] = []
        while order:
            name = heapq.heappop(order)[2]
            shape = self.shapes[name]
            if shape.category is not None and shape.category.full:
                continue
            entry = shape.queue.head
            record = tasks.get(entry[2])
            if record is None or record.state is not TaskState.READY:
                shape.queue.pop()
            else:
                # What was learnt of its duration since it was queued may let it be queued elsewhere.
                fit = self.shape_of(record)
                worker = self.choose(fit, record, holders, places(fit) if fit.strict else None)
                allotment = None if worker is None else fit.allotment(worker.hello.capacity)
                if worker is not None and allotment is not None:
                    given = instead(record, worker)
                    if given is record or fit is not shape:
                        shape.queue.pop()
                    if given is not record and fit is not shape:
                        fit.queue.push(entry)
                    assign(given, worker, allotment)
                    assigned += 1
                else:
                    if fit is not shape or record.avoid:
                        put_aside.append((fit, shape.queue.pop()))
                    if not record.avoid and fit.ahead >= shape.ahead:
                        shape.blocked = fit is shape and not shape.strict  # No load tells where an input has come to.
                        continue  # Nobody has room for this shape: leave the rest of its queue.
            if shape.queue:
                heapq.heappush(order, (*shape.queue.head[:2], name))
        for shape, entry in put_aside:
            shape.queue.push(entry)
        # Each assignment loads one worker. Whatever else has happened meanwhile may have made room, or a task ready.
        self.due = (self._loads - loads, self._sequence - pushed) != (assigned, 0)

    def choose(
        self,
        shape: Shape,
        record: TaskRecord,
        holders: Callable[[TaskRecord], Iterable[tuple[WorkerId, float]]],
        places: set[WorkerId] | None = None,
    ) -> WorkerRecord | None:
        """The worker with room now that holds most, else the emptiest, else one that may queue it.

        Of `places` only, if these are given.
        """
        emptiest = self._emptiest(shape, record.avoid, places)
        if emptiest is None:
            return None
        held: dict[WorkerId, float] = {}
        for worker_id, size in holders(record):
            held[worker_id] = held.get(worker_id, 0.0) + size
        held_there = held.pop(emptiest.worker_id, 0.0)
        if not held:
            return emptiest
        best, best_score = emptiest, (self.runs_at_once(shape, emptiest), held_there)
        for worker_id, held_bytes in held.items():
            worker = self.workers.get(worker_id)
            if worker is None or worker_id in record.avoid or not self.usable(shape, worker):
                continue
            if places is not None and worker_id not in places:
                continue
            score = (self.runs_at_once(shape, worker), held_bytes)
            if score > best_score:
                best, best_score = worker, score
        return best

    def usable(self, shape: Shape, worker: WorkerRecord) -> bool:
        """Whether the worker may be given one more task of the shape, to run or to queue."""
        allotment = shape.allotment(worker.hello.capacity)
        if allotment is None or not has_features(worker, shape.features):
            return False
        if not worker.open or not shape.in_time(worker, allotment):
            return False
        if worker.attempts_max is not None and len(worker.attempts) >= worker.attempts_max:
            return False
        return has_room(worker, allotment) or worker.load < 1 + shape.ahead - 1e-6

    @staticmethod
    def runs_at_once(shape: Shape, worker: WorkerRecord) -> bool:
        """Whether a worker that is usable would run one more now, not queue it."""
        allotment = shape.allotment(worker.hello.capacity)
        return allotment is not None and has_room(worker, allotment)

    def _emptiest(self, shape: Shape, avoid: Set[WorkerId], places: set[WorkerId] | None) -> WorkerRecord | None:
        if places is not None and len(places) <= _HOLDERS_SCANNED_MAX:
            few_there = [self.workers[worker_id] for worker_id in sorted(places - avoid)]
            return min((w for w in few_there if self.usable(shape, w)), key=lambda w: w.load, default=None)
        self._renew(shape)
        passed: list[tuple[float, int, WorkerId, int]] = []
        found = None
        while shape.index:
            _, _, worker_id, version = shape.index[0]
            worker = self.workers.get(worker_id)
            if worker is None or self._versions[worker_id] != version or not self.usable(shape, worker):
                heapq.heappop(shape.index)
            elif worker_id in avoid or (places is not None and worker_id not in places):
                passed.append(heapq.heappop(shape.index))
            else:
                found = worker
                break
        for entry in passed:
            heapq.heappush(shape.index, entry)
        return found

    def _is_blocked(self, shape: Shape) -> bool:
        """Whether a look at the shape's queue would be in vain, as the last one was."""
        if shape.blocked:
            self._renew(shape)
        return shape.blocked

    def _renew(self, shape: Shape) -> None:
        """Let the shape's index know of the loads that have changed since it was asked last."""
        if shape.seen == self._loads:
            return
        for worker_id, version in reversed(self._versions.items()):
            if version <= shape.seen:
                break
            self._enter(shape, self.workers[worker_id])
        shape.seen = self._loads

    def _enter(self, shape: Shape, worker: WorkerRecord) -> None:
        if self.usable(shape, worker):
            shape.blocked = False
            heapq.heappush(shape.index, self._entry(worker))
            if len(shape.index) > 2 * len(self.workers) + _STALE_MIN:
                # Most are stale: of loads that were, above the lowest one, where nobody looks.
                shape.index = [self._entry(known) for known in self.workers.values() if self.usable(shape, known)]
                heapq.heapify(shape.index)

    def _entry(self, worker: WorkerRecord) -> tuple[float, int, WorkerId, int]:
        worker_id = worker.worker_id
        return (worker.load, self._joined[worker_id], worker_id, self._versions[worker_id])


def _waits(record: TaskRecord | None) -> bool:
    return record is not None and record.state is TaskState.READY


def few(holders: set[WorkerId]) -> Iterable[WorkerId]:
    """The holders worth comparing, in a stable order; none where there are too many to tell apart."""
    return sorted(holders) if len(holders) <= _HOLDERS_SCANNED_MAX else ()
