"""Where does each task stand: its record, its states and the only way to change them."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec.structs import force_setattr

from vine.names import AttemptId, FileId, ObjectId, TaskId, WorkerId, client_index_of
from vine.scheduler.actions import PeerKey
from vine.scheduler.categories import Category
from vine.wire.parts import Outcome, Policy, Request, Resources, TaskKind, TaskResult, TaskSpec

Item = TypeVar("Item")

_NONE: frozenset[Any] = frozenset()  # Shared: a set of its own takes 216 bytes, and few tasks that wait need one.
_KEYS_REMEMBERED = 1024  # Of shapes and bodies: a task asks several times, and most tasks of a run are alike.
_USUAL = Policy()
_NOTHING_ASKED = Request()
_NO_VARIABLES: dict[str, str] = {}  # Nobody writes to a spec's.


class TaskState(enum.Enum):
    """A task is in exactly one of these."""

    WAITING = "waiting"  # for results of other tasks, or for files to exist
    READY = "ready"  # for a worker
    STAGED = "staged"  # assigned; its inputs move, or it queues on its worker
    RUNNING = "running"
    COLLECTING = "collecting"  # its body has ended; results or outputs come back from the worker
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    __hash__ = object.__hash__  # Enum's own is a function in Python, and states are looked up several times a task.

    def __init__(self, name: str) -> None:
        self.ended = name in ("done", "failed", "cancelled")
        self.assigned = name in ("staged", "running", "collecting")


_ENDED = frozenset(state for state in TaskState if state.ended)

_WAITING, _READY, _STAGED = TaskState.WAITING, TaskState.READY, TaskState.STAGED
_RUNNING, _COLLECTING = TaskState.RUNNING, TaskState.COLLECTING

# From DONE a task goes back only as a producer whose temporary outputs were lost.
LEGAL: dict[TaskState, frozenset[TaskState]] = {
    _WAITING: frozenset({_READY, TaskState.FAILED, TaskState.CANCELLED}),
    _READY: frozenset({_WAITING, _STAGED, TaskState.FAILED, TaskState.CANCELLED}),
    _STAGED: frozenset({_WAITING, _READY, _RUNNING, _COLLECTING, *_ENDED}),
    _RUNNING: frozenset({_WAITING, _READY, _COLLECTING, *_ENDED}),
    _COLLECTING: frozenset({_WAITING, _READY, *_ENDED}),
    TaskState.DONE: frozenset({_WAITING, _READY}),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}


AT_MOST = "|at most"  # at the end of the shape of tasks that have the most which their category allows
ALONE = "|alone"  # ... and of those that have a worker to themselves
_CANCELLED = (Outcome.CANCELLED, "cancelled")


class Attempt(msgspec.Struct, gc=False, eq=False):
    """One try of a task on one worker, while it lasts."""

    attempt_id: AttemptId
    worker: WorkerId
    assigned_at: float
    allotment: Resources  # what it may use there; a call of a library, with the others of that
    crowded: bool = False  # It has had others beside it.
    collecting: Set[ObjectId] = _NONE  # what still comes back from the worker; changes by `added` and `removed`
    result: TaskResult | None = None  # to be committed when nothing is collected any more


class TaskRecord(msgspec.Struct, gc=False, eq=False):
    """The manager's view of a task. Its sets change by `added` and `removed`.

    A million may wait: this kind of class is made fastest, and the garbage collector passes it over, since what it
    refers to never refers to it.
    """

    spec: TaskSpec
    client: PeerKey
    submitted_at: float
    task_id: TaskId = TaskId(0)  # this and the next three follow from the spec
    shape: str = ""  # what it asks of a worker
    body: str = ""  # what it runs there
    inputs: tuple[FileId, ...] = ()  # `input_files` of its spec
    state: TaskState = TaskState.WAITING
    unmet: Set[TaskId | FileId] = _NONE  # tasks, and files by `file_requirement`
    attempt: Attempt | None = None
    attempts: int = 0
    failures: int = 0  # of its own; compared with spec.retries
    losses: int = 0  # workers lost while it may have run there ...
    losses_alone: int = 0  # ... and nothing else did
    leaves: int = 0  # workers that left in order while it ran
    misplacements: int = 0  # workers where its data could not be had
    crowded_out: int = 0  # times that its data had no room beside those of other tasks
    category: Category | None = None
    at_maximum: bool = False  # It was stopped at what others of its category had needed at most.
    alone: bool = False  # It has a worker to itself, for workers were lost under it.
    avoid: Set[WorkerId] = _NONE
    dependants: Set[TaskId] = _NONE  # tasks not yet ended that take its result
    heirs: Set[TaskId] = _NONE  # tasks that have ended, and may have to run again with its result
    cancel_requested: bool = False
    cancelled_as: tuple[Outcome, str] = _CANCELLED  # what its end is called, if that was requested
    first_assigned_at: float | None = None
    outcome: Outcome | None = None
    message: str = ""  # why it did not succeed, for those who ask for its result later
    value: bytes | None = None  # kept for dependants until the client forgets the result
    value_object: ObjectId | None = None  # ... or, where it is large, a file of the staging folder
    value_path: str | None = None
    generation: int = 0  # of a result that is on workers only: how many such ones it is made from, itself included
    keep_result: bool = False  # Its client wants it to stay there.
    result_wanted: bool = False  # Its client asks for a result that has stayed there.
    result_forgotten: bool = False
    recovering: bool = False  # runs again only to make lost outputs; its result is already committed

    def __post_init__(self) -> None:
        spec = self.spec
        self.task_id = spec.task_id
        if spec.policy is None and spec.kind is not TaskKind.LIBRARY:
            self.shape = _shape_key(spec.request, spec.features)
        else:
            self.shape = shape_key(spec)
        self.body = _body_key(spec.kind, spec.function, self.shape, "" if spec.function is None else spec.command)
        self.inputs = input_files(spec)

    @property
    def request(self) -> Request:
        """What it asks for, with its category's figures for what it leaves out."""
        asked = self.spec.request
        return asked if self.category is None else self.category.fill(asked, self.at_maximum)

    @property
    def given_back(self) -> int:
        """How often workers have given it back without having run it."""
        return self.misplacements + self.crowded_out

    @property
    def is_forsaken(self) -> bool:
        """Whether workers have given it back more often than it allows."""
        most = None if self.spec.policy is None else self.spec.policy.forsaken_max
        return most is not None and self.given_back > most

    def take_maximum(self) -> None:
        """Its next attempt is given the most that its category allows."""
        self.at_maximum = True
        self._reshape()

    def run_alone(self) -> None:
        """Its next attempt is given all of a worker."""
        self.alone = True
        self._reshape()

    def _reshape(self) -> None:
        self.shape = shape_key(self.spec) + AT_MOST * self.at_maximum + ALONE * self.alone


# How `TaskRecord.unmet` names what is neither a task nor a file: no task or file is called so.
NOT_BEFORE = TaskId(-(1 << 64))  # its start time
HELD_BACK = TaskId(-(1 << 66))  # the return of the worker that had it when the manager was restarted


def added(items: Set[Item], item: Item) -> Set[Item]:
    """The set with the item, changed in place if it is the owner's own."""
    if not isinstance(items, set):
        return {item}
    items.add(item)
    return items


def removed(items: Set[Item], item: Item) -> Set[Item]:
    """The set without the item, changed in place if it is the owner's own and not empty then."""
    if isinstance(items, set):
        items.discard(item)
    return items or _NONE


def file_requirement(file_id: FileId) -> FileId:
    """How `TaskRecord.unmet` names a file: negative, since tasks and files number alike."""
    return FileId(-file_id)


def shape_key(spec: TaskSpec) -> str:
    """Tasks of one shape can be placed on the same workers; views find by it why a ready task waits."""
    policy = spec.policy or _USUAL
    category = (client_index_of(spec.task_id), policy.category) if policy.category else None
    if spec.kind is TaskKind.LIBRARY:  # What its call asks for is a limit only: it takes a slot.
        return _shape_key(_NOTHING_ASKED, spec.features, policy.strict, category, policy.time_min_s, spec.function)
    return _shape_key(spec.request, spec.features, policy.strict, category, policy.time_min_s)


@lru_cache(_KEYS_REMEMBERED)
def _shape_key(
    request: Request,
    features: tuple[str, ...],
    strict: tuple[FileId, ...] = (),
    category: tuple[int, str] | None = None,
    time_min_s: float = 0.0,
    library: FileId | None = None,
) -> str:
    amounts = (request.cores, request.memory_mb, request.disk_mb, request.gpus)
    asked = ",".join("-" if amount is None else f"{amount:g}" for amount in amounts)
    key = "|".join((asked if library is None else f"library {library}", ",".join(features)))
    if strict:
        key = f"{key}|at {','.join(map(str, strict))}"
    if time_min_s:
        key = f"{key}|for {time_min_s:g}"
    return key if category is None else f"{key}|in {category[0]}/{category[1]}"


@lru_cache(_KEYS_REMEMBERED)
def _body_key(kind: TaskKind, function: FileId | None, shape: str, name: str) -> str:
    """Tasks of one body last about equally long; `name` is that of a function in a library."""
    what = "" if function is None else f"{function}.{name}"
    return "|".join((kind.value, what, shape))


def share_what_is_alike(spec: TaskSpec) -> None:
    """Let the specs of a group have one request, label, function between them: each was decoded with its own."""
    force_setattr(spec, "request", same(spec.request))
    force_setattr(spec, "label", same(spec.label))
    force_setattr(spec, "priority", same(spec.priority))
    if spec.function is not None:
        force_setattr(spec, "function", same(spec.function))
    if spec.environment is not None:
        force_setattr(spec, "environment", same(spec.environment))
    if spec.kind is TaskKind.LIBRARY:
        force_setattr(spec, "command", same(spec.command))  # The name of a function, of which a library has few.
    if not spec.variables:
        force_setattr(spec, "variables", _NO_VARIABLES)


@lru_cache(_KEYS_REMEMBERED, typed=True)
def same(value: Hashable) -> Hashable:
    """The first of all equal ones."""
    return value


def input_files(spec: TaskSpec) -> tuple[FileId, ...]:
    """Every file that must be on a worker before the task's body starts; an assignment is made in this order."""
    files = _shared_files(spec.function, spec.payload_file, spec.environment, *spec.shared)
    return files + tuple([mount.file_id for mount in spec.inputs]) if spec.inputs else files


@lru_cache(_KEYS_REMEMBERED)
def _shared_files(*files: FileId | None) -> tuple[FileId, ...]:
    return tuple([file_id for file_id in files if file_id is not None])


@dataclass(slots=True)
class Assigned:
    """How many tasks of a shape have an attempt, and the last one that was given one: all of them ask for the same."""

    number: int
    example: TaskRecord


class TaskTable:
    """All tasks of the run that somebody may still ask for, and how many are in each state."""

    def __init__(self) -> None:
        self.by_id: dict[TaskId, TaskRecord] = {}
        self.assigned: dict[str, Assigned] = {}  # by shape: what each task has asked for is not gone through again
        self.counts = dict.fromkeys(TaskState, 0)

    def add(self, record: TaskRecord) -> None:
        assert record.task_id not in self.by_id, f"task {record.task_id} was accepted twice"
        self.by_id[record.task_id] = record
        self.counts[record.state] += 1

    def of_client(self, index: int) -> list[TaskRecord]:
        """The client's, in the order of their numbers. Goes through all: few ask, so that no list of them is kept."""
        found = [record for task_id, record in self.by_id.items() if client_index_of(task_id) == index]
        return sorted(found, key=lambda record: record.task_id)

    def move(self, record: TaskRecord, state: TaskState) -> None:
        """Change a task's state; the only place that does."""
        before, counts = record.state, self.counts
        assert state in LEGAL[before], f"task {record.task_id}: {before} -> {state} is not legal"
        counts[before] -= 1
        counts[state] += 1
        record.state = state

    def begin(self, record: TaskRecord, attempt: Attempt) -> None:
        assert record.attempt is None, f"task {record.task_id} has an attempt already"
        record.attempt = attempt
        record.attempts += 1
        if record.first_assigned_at is None:
            record.first_assigned_at = attempt.assigned_at
        if record.category is not None:
            record.category.running += 1
        alike = self.assigned.get(record.shape)
        if alike is None:
            self.assigned[record.shape] = Assigned(1, record)
        else:
            alike.number, alike.example = alike.number + 1, record

    def drop_attempt(self, record: TaskRecord) -> Attempt:
        attempt = record.attempt
        assert attempt is not None, f"task {record.task_id} has no attempt to drop"
        if record.category is not None:
            record.category.running -= 1
        alike = self.assigned[record.shape]
        alike.number -= 1
        if not alike.number:
            del self.assigned[record.shape]
        record.attempt = None
        return attempt

    def remove(self, record: TaskRecord) -> None:
        """Nobody will ask for this task again. Its state stays counted: totals of a run never shrink."""
        assert record.state.ended, f"task {record.task_id} is removed while {record.state}"
        del self.by_id[record.task_id]
