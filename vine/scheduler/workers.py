"""Who can run something: the workers that are connected, what they have and what of it is taken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from vine.names import AttemptId, FileId, HostId, ObjectId, TaskId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.wire.parts import Request, Resources, TaskKind
from vine.wire.worker_messages import WorkerHello, WorkerStatus

if TYPE_CHECKING:
    from vine.scheduler.tasks import TaskRecord

_NOTHING = Resources()
_LIBRARY = TaskKind.LIBRARY
_ROUNDING = 1e-6  # Fractional cores add up with rounding errors.
_KEEPS_LOAD = 1e-7  # Of a worker with nothing but loaded libraries: it comes after one that is really empty.


class Terms(NamedTuple):
    """What a worker knows of its copy of an object."""

    spare: bool  # It may go for room.
    forever: bool  # It stays in the workspace after the worker.


class Reservation(NamedTuple):
    """Room on a worker that nobody else is to take."""

    shape: str  # the key of the shape that it is for
    allotment: Resources  # what a task of that is given there


class Withdrawn(NamedTuple):
    """An attempt that a silent worker had."""

    attempt_id: AttemptId
    alone: bool  # Nothing else can have run there with it.


@dataclass(slots=True)
class LibraryShare:
    """What a library takes of a worker while calls of it are there: all of them together."""

    allotment: Resources
    slots: int  # calls that run at once
    attempts: set[AttemptId] = field(default_factory=set)


@dataclass(slots=True)
class WorkerRecord:
    """The manager's view of a worker."""

    peer: PeerKey
    hello: WorkerHello
    joined_at: float
    heard_at: float
    cut_at: float | None = None  # when its connection was found closed, if that is the last that is known of it
    worker_id: WorkerId = field(init=False)  # As in the hello: asked for several times a message.
    host_id: HostId = field(init=False)
    capacity: Resources = field(init=False)
    joined: int = 0  # how many had joined when it had
    loads: int = 0  # changes of load of all workers, up to its own last one; 0 when it has left
    used: Resources = _NOTHING
    load: float = 0.0  # the largest share of what it has that is taken; above 1 where work is queued ahead of time
    vacant: Resources | None = None  # what an attempt that has ended in this step had: it still counts as used
    attempts: dict[AttemptId, TaskRecord] = field(default_factory=dict)  # staged or running here
    libraries: dict[FileId, LibraryShare] = field(default_factory=dict)  # that have calls here
    loaded: set[FileId] = field(default_factory=set)  # libraries that it keeps until others need the room
    libraries_left: list[FileId] = field(default_factory=list)  # by their last call here, since that was last asked
    holds: set[ObjectId] = field(default_factory=set)
    told: dict[ObjectId, Terms] = field(default_factory=dict)  # of what it holds or is about to
    making: set[ObjectId] = field(default_factory=set)  # told to unpack, or sent inline, not yet confirmed
    awaits: set[ObjectId] = field(default_factory=set)  # what another worker of its host is to bring
    attempts_max: int | None = None  # since more at once had no room on its disk
    full_until: float = 0.0  # An object had no room on its disk of late: nobody is to hang on it for another one.
    misfits: Counter[str] = field(default_factory=Counter)  # by kind: tasks in a row whose inputs had no room
    no_room: dict[str, float] = field(default_factory=dict)  # kinds of tasks that it does not get, and until when
    ends_since: int = 0  # attempts that have ended since that was last changed
    collecting: set[TaskId] = field(default_factory=set)  # whose results or outputs the manager still pulls from here
    status: WorkerStatus | None = None
    idle_since: float | None = None
    open: bool = True  # It is given tasks.
    reserved: Reservation | None = None  # It is kept free for tasks of one shape.
    unprepared: int = 0  # tasks in a row that it could not prepare ...
    ill_for: str | None = None  # ... and what the last one said, once these were too many
    drains_for: str | None = None  # why it is to end when it has nothing left to do, if it is
    told_to_end: bool = False
    ends_told: int = 0  # messages of its session that told ends ...
    journaled: int = 0  # ... so many of which it knows to be in the journal
    silent: bool = False  # It has missed some heartbeats, and is given nothing ...
    suspected_at: float = 0.0  # ... until it has been heard since ...
    withdrawn: dict[TaskId, Withdrawn] = field(default_factory=dict)  # ... and others have what may have begun there.
    returning: bool = False  # It was admitted before, and is yet to say what it has.
    ends_at: float | None = None  # when its wall time is over

    def __post_init__(self) -> None:
        hello = self.hello
        self.worker_id, self.host_id, self.capacity = hello.worker_id, hello.host_id, hello.capacity

    def take(self, record: TaskRecord) -> None:
        """Be given the task, which has an attempt here."""
        assert record.attempt is not None
        self._enter(record)
        self._add(record.attempt.allotment)

    def take_over(self, record: TaskRecord) -> None:
        """As `take`, where the task is given what another one has left: its load stays as it is."""
        assert record.attempt is not None and self.vacant == record.attempt.allotment
        self.vacant = None
        self._enter(record)

    def take_slot(self, record: TaskRecord, library: FileId, slots: int) -> None:
        """As `take`, for a call of a library: the first one takes what all of them have together."""
        attempt = record.attempt
        assert attempt is not None
        share = self.libraries.get(library)
        if share is None:
            share = self.libraries[library] = LibraryShare(attempt.allotment, slots)
            self._add(share.allotment)
        attempt.allotment = share.allotment
        share.attempts.add(attempt.attempt_id)
        self._enter(record)

    def _enter(self, record: TaskRecord) -> None:
        attempt, attempts = record.attempt, self.attempts
        assert attempt is not None and attempt.attempt_id not in attempts, f"task {record.task_id} was assigned twice"
        attempts[attempt.attempt_id] = record
        self.idle_since = None
        if (given := len(attempts)) > 1:
            attempt.crowded = True
            if given == 2:
                for other in attempts.values():
                    assert other.attempt is not None
                    other.attempt.crowded = True

    def release(self, record: TaskRecord, now: float) -> None:
        """The attempt of the task is over here."""
        attempt = record.attempt
        assert attempt is not None
        del self.attempts[attempt.attempt_id]
        left = attempt.allotment
        if self.libraries and record.spec.kind is _LIBRARY:
            left = self._leave_slot(record, attempt.attempt_id)
        self._give_back(left, now)

    def leave(self, record: TaskRecord) -> None:
        """As `release`, but for what the attempt had: that is to be taken over or vacated within the step."""
        attempt = record.attempt
        assert attempt is not None and self.vacant is None
        del self.attempts[attempt.attempt_id]
        self.vacant = attempt.allotment

    def vacate(self, now: float) -> None:
        """Nobody has taken over what was left."""
        assert self.vacant is not None
        left, self.vacant = self.vacant, None
        self._give_back(left, now)

    def _give_back(self, left: Resources, now: float) -> None:
        if self.attempts:
            self._subtract(left)
        else:
            self._use(0.0, 0.0, 0.0, 0.0)  # No rounding errors pile up over the worker's life.
            self.idle_since = now

    def _leave_slot(self, record: TaskRecord, attempt_id: AttemptId) -> Resources:
        """What is free now that this call of a library has ended."""
        library = record.spec.function
        assert library is not None
        share = self.libraries[library]
        share.attempts.discard(attempt_id)
        if share.attempts:
            return _NOTHING
        del self.libraries[library]
        self.libraries_left.append(library)
        return share.allotment

    def _add(self, allotment: Resources) -> None:
        used = self.used
        self._use(
            used.cores + allotment.cores,
            used.memory_mb + allotment.memory_mb,
            used.disk_mb + allotment.disk_mb,
            used.gpus + allotment.gpus,
        )

    def _subtract(self, allotment: Resources) -> None:
        used = self.used
        cores, memory_mb = used.cores - allotment.cores, used.memory_mb - allotment.memory_mb
        disk_mb, gpus = used.disk_mb - allotment.disk_mb, used.gpus - allotment.gpus
        self._use(  # Never less than nothing, as rounding would have it.
            cores if cores > 0 else 0.0,
            memory_mb if memory_mb > 0 else 0.0,
            disk_mb if disk_mb > 0 else 0.0,
            gpus if gpus > 0 else 0.0,
        )

    def _use(self, cores: float, memory_mb: float, disk_mb: float, gpus: float) -> None:
        self.used, has = Resources(cores, memory_mb, disk_mb, gpus), self.capacity
        load = cores / has.cores if has.cores else 0.0
        if (most := has.memory_mb) and (share := memory_mb / most) > load:
            load = share
        if (most := has.disk_mb) and (share := disk_mb / most) > load:
            load = share
        if (most := has.gpus) and (share := gpus / most) > load:
            load = share
        self.load = load or (_KEEPS_LOAD if self.loaded else 0.0)

    def keeps(self, library: FileId, is_loaded: bool) -> None:
        """It has loaded the library, or it is gone from there."""
        (self.loaded.add if is_loaded else self.loaded.discard)(library)
        used = self.used
        self._use(used.cores, used.memory_mb, used.disk_mb, used.gpus)

    def had_no_room(self) -> None:
        """An attempt beside others did not fit onto the disk, and is gone: no more than are left from now on."""
        self.attempts_max = max(1, len(self.attempts))
        self.ends_since = 0

    def had_room(self) -> None:
        """An attempt has ended: after as many as there may be at once, one more may try."""
        self.ends_since += 1
        if self.attempts_max is not None and self.ends_since >= self.attempts_max:
            self.attempts_max += 1
            self.ends_since = 0


def amounts(resources: Resources) -> tuple[float, float, float, float]:
    return (resources.cores, resources.memory_mb, resources.disk_mb, resources.gpus)


def asked(request: Request) -> tuple[float | None, float | None, float | None, float | None]:
    return (request.cores, request.memory_mb, request.disk_mb, request.gpus)


def could_fit(request: Request, capacity: Resources) -> bool:
    """Whether an empty worker of this capacity could run the request."""
    pairs = zip(asked(request), amounts(capacity), strict=True)
    return all(need is None or need <= has + _ROUNDING for need, has in pairs)


def allot(request: Request, capacity: Resources) -> Resources:
    """What a task is given on a worker: what it names, and of the rest its share in proportion.

    As in TaskVine: a task that names nothing gets the whole worker; one that names some gets of
    the others the largest share that it asks of anything named. GPUs are given only if asked for. (There, one that
    names GPUs and no cores gets none; here it gets its share of them, too.)
    """
    pairs = zip(asked(request), amounts(capacity), strict=True)
    shares = [need / has for need, has in pairs if need and has]  # A task that asks for no cores says nothing by it.
    share = min(1.0, max(shares)) if shares else 1.0

    def amount(need: float | None, has: float) -> float:
        return need if need is not None else has * share

    return Resources(
        cores=amount(request.cores, capacity.cores),
        memory_mb=amount(request.memory_mb, capacity.memory_mb),
        disk_mb=amount(request.disk_mb, capacity.disk_mb),
        gpus=request.gpus or 0.0,
    )


def has_room(worker: WorkerRecord, allotment: Resources, left: Resources = _NOTHING) -> bool:
    """Whether the allotment can run at once beside what the worker has already been given, but for what is `left`."""
    used, has = worker.used, worker.capacity
    # Who asks for nothing of a kind fits, however much of it is taken. One by one: so each costs least.
    if (cores := allotment.cores) and cores > has.cores - (used.cores - left.cores) + _ROUNDING:
        return False
    if (memory_mb := allotment.memory_mb) and memory_mb > has.memory_mb - (used.memory_mb - left.memory_mb) + _ROUNDING:
        return False
    if (disk_mb := allotment.disk_mb) and disk_mb > has.disk_mb - (used.disk_mb - left.disk_mb) + _ROUNDING:
        return False
    return not allotment.gpus or allotment.gpus <= has.gpus - (used.gpus - left.gpus) + _ROUNDING


def has_room_beside(worker: WorkerRecord, kept: Resources, allotment: Resources) -> bool:
    """Whether what is kept free on the worker can still be given there when the allotment has been taken, too.

    As far as the allotment goes: of what it has nothing of, less may be left than is kept.
    """
    used, has = worker.used, worker.capacity
    return (
        (not allotment.cores or allotment.cores <= has.cores - used.cores - kept.cores + _ROUNDING)
        and (
            not allotment.memory_mb
            or allotment.memory_mb <= has.memory_mb - used.memory_mb - kept.memory_mb + _ROUNDING
        )
        and (not allotment.disk_mb or allotment.disk_mb <= has.disk_mb - used.disk_mb - kept.disk_mb + _ROUNDING)
        and (not allotment.gpus or allotment.gpus <= has.gpus - used.gpus - kept.gpus + _ROUNDING)
    )


def has_features(worker: WorkerRecord, features: tuple[str, ...]) -> bool:
    return not features or all(feature in worker.hello.features for feature in features)
