"""Which ready task next, and on which worker: equal needs are one shape, and the best task goes first.

A decision looks at the emptiest worker with room and at the holders of the task's inputs, never at
all workers or all tasks: so its cost stays flat as both grow. Where all workers are busy, as they
mostly are, a task that ends lets one of them have room, and only that one is looked at: mostly the
next task takes over just what was left, and no load changes.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterable, Mapping, Set
from typing import Protocol

import msgspec

from vine import config
from vine.names import FileId, TaskId, WorkerId
from vine.scheduler.categories import Category
from vine.scheduler.durations import Durations
from vine.scheduler.libraries import LibraryRecord
from vine.scheduler.loads import Loads
from vine.scheduler.queues import Entry
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.workers import Reservation, WorkerRecord, has_features, has_room
from vine.wire.parts import Resources, TaskKind

_READY = TaskState.READY


class Head(msgspec.Struct, frozen=True, order=True, gc=False):
    """The first task of a queue; they are ordered as their tasks are."""

    entry: Entry
    shape: Shape  # whose queue it is
    record: TaskRecord
    fit: Shape  # what it is by now: its duration may have been learnt since it was queued ...
    learnt: int  # ... or since this was found


class Dispatcher(Protocol):
    """What the placement asks of its room, and tells it to do."""

    def holders(self, record: TaskRecord) -> Iterable[tuple[WorkerId, float]]:
        """Workers, and how many bytes of the task's inputs each holds or will hold soon."""

    def places(self, shape: Shape) -> set[WorkerId]:
        """The workers that have the strict inputs of a shape."""

    def instead(self, record: TaskRecord, worker: WorkerRecord) -> TaskRecord:
        """The task to be given to a worker that was chosen for this one: another of its shape, or itself."""

    def assign(self, record: TaskRecord, worker: WorkerRecord, allotment: Resources) -> None:
        """Load the worker with the allotment."""


class Placement:
    """The ready tasks and the workers with room for them."""

    def __init__(self, libraries: Mapping[FileId, LibraryRecord]) -> None:
        self._libraries = libraries
        self.shapes: dict[tuple[str, int], Shape] = {}
        self._waiting: dict[Shape, Head | None] = {}  # those of them that have tasks, and the first that was seen
        self.durations = Durations()
        self.loads = Loads()
        self._looked = 0  # the changes of load by which it was last found that nobody has room
        self._sequence = 0
        self._strict: set[FileId] = set()  # of all shapes
        self.reserved: dict[WorkerId, Reservation] = {}  # of those that have one
        self._called: set[Shape] = set()  # those of libraries of which calls were given to workers in this look
        self.vacated: WorkerRecord | None = None  # where an attempt has ended in this step, and what it had is left
        self.due = False  # something has changed that may let a task find a worker
        self._timed: list[Shape] = []  # those to which the time matters
        self._now = 0.0

    # --- what changes -----------------------------------------------------------------------

    def add_worker(self, worker: WorkerRecord) -> None:
        self.loads.add(worker)
        self.load_changed(worker)

    def remove_worker(self, worker_id: WorkerId) -> None:
        self.loads.remove(worker_id)
        self.reserved.pop(worker_id, None)

    def reserve(self, worker: WorkerRecord, shape: Shape) -> None:
        """Let nobody take what one task of the shape needs there."""
        allotment = shape.allotment(worker.capacity)
        assert allotment is not None, f"{worker.worker_id} is kept free for what does not fit"
        worker.reserved = self.reserved[worker.worker_id] = Reservation(shape.key, allotment)

    def release(self, worker: WorkerRecord) -> None:
        """The worker is there for everybody again."""
        worker.reserved = None
        del self.reserved[worker.worker_id]
        self.load_changed(worker)

    def load_changed(self, worker: WorkerRecord) -> None:
        """It has been given something, or has ended something."""
        self.loads.change(worker)
        self.due = True

    def copies_came(self, files: Set[FileId]) -> None:
        """A worker has come to hold what these files stand for: it may be the place of a task that must be there."""
        if not self._strict.isdisjoint(files):
            self.due = True

    def push(self, record: TaskRecord) -> None:
        """The task is ready. One that was ready before keeps no place: it went first once already."""
        self._sequence += 1
        self.due = True
        shape = self.shape_of(record)
        shape.queue.push((-record.spec.priority or 0.0, self._sequence, record.task_id))
        self._waiting.setdefault(shape)

    def shape_of(self, record: TaskRecord) -> Shape:
        name = (record.shape, self.durations.ahead(record.body))
        shape = self.shapes.get(name)
        if shape is None:
            spec = record.spec
            strict = () if spec.policy is None else spec.policy.strict
            library = self._libraries[spec.function] if spec.kind is TaskKind.LIBRARY and spec.function else None
            request = record.request if library is None else library.spec.request
            shape = self.shapes[name] = Shape(*name, request, spec.features, strict, record.category, library=library)
            shape.asked, shape.at_maximum, shape.alone = spec.request, record.at_maximum, record.alone
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
                if shape.library is None:
                    shape.request = category.fill(shape.asked, shape.at_maximum)
                shape.look_anew()

    def library_changed(self, library: LibraryRecord) -> None:
        """Other workers may have calls of it from now on."""
        self.due = True
        for shape in self.shapes.values():
            if shape.library is library:
                shape.look_anew()

    def discard_ended(self, tasks: dict[TaskId, TaskRecord]) -> None:
        """Forget tasks that do not wait any more, at the head of queues at which nobody has looked since."""
        for shape in list(self._waiting):
            self._first(shape, tasks)

    def discard_empty_shapes(self) -> None:
        """Forget shapes without tasks, once there are so many that each change of load costs."""
        idle = [name for name, shape in self.shapes.items() if not shape.queue]
        for name in idle[: max(0, len(idle) - config.idle_shapes_max)]:
            del self.shapes[name]
        if len(idle) > config.idle_shapes_max:
            self._waiting = dict.fromkeys(self._waiting)  # What fitted one of those is to be seen anew.
        if idle and self._strict:
            self._strict = {file_id for shape in self.shapes.values() for file_id in shape.strict}
        if idle and self._timed:
            self._timed = [shape for shape in self.shapes.values() if shape.time_min_s]

    # --- what is decided ----------------------------------------------------------------------

    def next_pairs(self, tasks: dict[TaskId, TaskRecord], room: Dispatcher, now: float) -> None:
        """Pair ready tasks with workers, best task first, until none finds room; if none can, find that out once."""
        self._now = now
        for shape in self._timed:
            shape.now = now
        changes, pushed = self.loads.changes, self._sequence
        self._called.clear()
        heads = self.heads(tasks)
        passed: list[Shape] = []
        assigned = self._fill(heads, passed, tasks, room) if len(self.loads.moved) == 1 else 0
        if heads:
            assigned += self._pair(heads, passed, tasks, room)
        # Each assignment loads one worker. Whatever else has happened meanwhile may have made room, or a task ready.
        self.due = (self.loads.changes - changes, self._sequence - pushed) != (assigned, 0) or self._opened_slots()
        if not self.due:
            self._looked = looked = self.loads.changes
            self.loads.moved.clear()
            for fit in passed:
                fit.seen = looked  # Who was given tasks since has less room than before.

    def _opened_slots(self) -> bool:
        """Whether a call has come to a worker where others of its library, of another shape, may have slots now."""
        if not self._called:
            return False
        given = {shape.library.number for shape in self._called if shape.library is not None}
        waiting = [each for each in self._waiting if each.library is not None and each.library.number in given]
        return any(len(self._called) > 1 or shape not in self._called for shape in waiting)

    def hand_over(self, tasks: dict[TaskId, TaskRecord], room: Dispatcher) -> bool:
        """Whether the next task has taken over what one has left, and so changed no load.

        Only where `next_pairs` would end in the same: nobody had room for any, so that after this nobody has, either.
        """
        worker = self.vacated
        assert worker is not None
        heads, left = self.heads(tasks), worker.vacant
        heir = None if left is None else self._heir(heads, worker, left)
        if heir is None or left is None:
            return False
        pushed = self._sequence
        self._take(heir, worker, left, room)
        if worker.vacant is not None:
            return False  # An input of the task was lost.
        self.vacated = None
        following = self._first(heir.shape, tasks)
        self.due = self._sequence != pushed or not (following is None or self._is_passed(following.fit))
        return True

    def _heir(self, heads: list[Head], worker: WorkerRecord, left: Resources) -> Head | None:
        """The task that is next on the worker, if it is to be given there just what was left."""
        if self.loads.moved or self._timed or not worker.open or worker.reserved is not None or worker.load > 1:
            return None
        for head in heads:
            if not self._is_passed(head.fit):
                return None
        heads.sort()
        for head in heads:
            fit = head.fit
            allotment = fit.allotment(worker.capacity)
            if fit.ahead or fit.library is not None:
                return None
            if allotment == left:
                is_shut_out = worker.worker_id in head.record.avoid or fit.key in worker.no_room
                return None if is_shut_out or not has_features(worker, fit.features) else head
            if allotment is not None and has_room(worker, allotment, left):
                return None
        return None

    def _is_passed(self, fit: Shape) -> bool:
        """Whether nobody had room for it when all were looked at last."""
        return fit.blocked and fit.seen >= self._looked

    def heads(self, tasks: dict[TaskId, TaskRecord]) -> list[Head]:
        """The first tasks of the queues of which more may run; most are as at the last look, which costs no call."""
        heads, learnt = [], self.durations.changes
        for shape, head in tuple(self._waiting.items()):
            if (
                head is None
                or head.entry is not shape.queue.head
                or head.learnt != learnt
                or head.record.state is not _READY
            ):
                head = self._first(shape, tasks)
            if head is not None and (shape.category is None or not shape.category.full):
                heads.append(head)
        return heads

    def _first(self, shape: Shape, tasks: dict[TaskId, TaskRecord]) -> Head | None:
        """The first task of the shape's queue that still waits; those before it are forgotten."""
        queue, learnt = shape.queue, self.durations.changes
        while (entry := queue.head) is not None:
            record = tasks.get(entry[2])
            if record is not None and record.state is _READY:
                ahead = self.durations.ahead(record.body)
                fit = shape if ahead == shape.ahead and record.shape == shape.key else self.shape_of(record)
                head = self._waiting[shape] = Head(entry, shape, record, fit, learnt)
                return head
            queue.pop()
        self._waiting.pop(shape, None)
        return None

    def _fill(self, heads: list[Head], passed: list[Shape], tasks: dict[TaskId, TaskRecord], room: Dispatcher) -> int:
        """Nobody had room for these but, perhaps, the one worker whose load has changed: give it what it can take.

        Returns how many that were. Leaves those heads for which others than that worker must be looked at, and
        notes in `passed` for which shapes nobody has room.
        """
        (worker,) = self.loads.moved.values()
        assigned = 0
        if not all(self._is_passed(head.fit) for head in heads):
            return 0
        refused: list[Head] = []  # What it cannot take now, it can still less when it has been given more.
        heads.sort()
        while heads:
            best = heads[0]
            fit = best.fit
            is_full = fit.category is not None and fit.category.full
            allotment = None if is_full else fit.given(worker)
            if allotment is None:
                del heads[0]
                if not is_full:
                    refused.append(best)
                continue
            if worker.worker_id in best.record.avoid:
                break
            del heads[0]
            assigned += self._take(best, worker, allotment, room)
            following = self._first(best.shape, tasks)
            if following is not None:
                bisect.insort(heads, following)
                if not self._is_passed(following.fit):
                    break
        if heads:
            heads += refused
        else:
            passed += [head.fit for head in refused]  # Others may have room for those.
        return assigned

    def _take(self, head: Head, worker: WorkerRecord, allotment: Resources, room: Dispatcher) -> bool:
        """Give the task to the worker; not if it was given away since, or another one has come to be before it."""
        if head.record.state is not _READY or head.shape.queue.head is not head.entry:
            return False
        given = room.instead(head.record, worker)
        if given is head.record:
            head.shape.queue.pop()
        room.assign(given, worker, allotment)
        if given.attempt is None:
            return False  # An input was lost while it was ready: it waits again, and nobody has less room.
        if head.fit.library is not None:
            self._called.add(head.fit)
        if worker.reserved is not None and worker.reserved.shape == head.fit.key:
            self.release(worker)
        return True

    def _pair(self, heads: list[Head], passed: list[Shape], tasks: dict[TaskId, TaskRecord], room: Dispatcher) -> int:
        """Look for a worker for each of these, best first, and for what follows in their queues."""
        heapq.heapify(heads)
        put_aside: list[tuple[Shape, Entry]] = []
        assigned = 0
        while heads:
            head = heapq.heappop(heads)
            shape, record, fit = head.shape, head.record, head.fit
            worker = None
            if shape.full:
                continue
            if not self._is_blocked(fit):
                worker = self.choose(fit, record, room, room.places(fit) if fit.strict else None)
            if worker is not None:
                allotment = fit.allotment(worker.capacity)
                assert allotment is not None, f"{worker.worker_id} was chosen, and does not fit"
                assigned += self._take(head, worker, allotment, room)
            else:
                # No load tells where a strict input has come to.
                fit.blocked = not (fit.strict or fit.index)
                if fit.blocked:
                    passed.append(fit)
                if fit.blocked or not record.avoid:
                    continue  # Nobody has room for this shape: leave the rest of its queue.
                put_aside.append((shape, shape.queue.pop()))
            following = self._first(shape, tasks)
            if following is not None:
                heapq.heappush(heads, following)
        for shape, entry in put_aside:
            shape.queue.push(entry)
            self._waiting.setdefault(shape)
        return assigned

    def choose(
        self,
        shape: Shape,
        record: TaskRecord,
        room: Dispatcher,
        places: set[WorkerId] | None = None,
    ) -> WorkerRecord | None:
        """The worker with room now that holds most, else the emptiest, else one that may queue it.

        Of `places` only, if these are given.
        """
        emptiest = self.loads.emptiest(shape, record.avoid, places)
        if emptiest is None or len(self.loads.workers) == 1:  # Then there is nobody to compare it with.
            return emptiest
        held: dict[WorkerId, float] = {}
        for worker_id, size in room.holders(record):
            held[worker_id] = held.get(worker_id, 0.0) + size
        held_there = held.pop(emptiest.worker_id, 0.0)
        if not held:
            return emptiest
        best, best_score = emptiest, (shape.runs_at_once(emptiest), held_there)
        for worker_id, held_bytes in held.items():
            worker = self.loads.workers.get(worker_id)
            if worker is None or worker_id in record.avoid or not shape.usable(worker):
                continue
            if places is not None and worker_id not in places:
                continue
            score = (shape.runs_at_once(worker), held_bytes)
            if score > best_score:
                best, best_score = worker, score
        return best

    def _is_blocked(self, shape: Shape) -> bool:
        """Whether a look at the shape's queue would be in vain, as the last one was."""
        if shape.blocked:
            self.loads.tell(shape)
        return shape.blocked
