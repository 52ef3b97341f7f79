"""What becomes of a ready task: it is paired with a worker, and its inputs are sent on their way."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

from vine import config
from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.names import MANAGER, FileId, ObjectId, TaskId, WorkerId
from vine.scheduler import installing, prefetching, recovery, results, staging
from vine.scheduler.files import ObjectRecord
from vine.scheduler.loads import few
from vine.scheduler.records import AttemptAssigned, TaskReady, TaskWaits
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import Attempt, TaskRecord, TaskState, added, file_requirement, removed
from vine.scheduler.workers import WorkerRecord, has_features
from vine.wire.parts import Assignment, DependencyValue, Limits, Mount, ObjectMount, Outcome, Resources, TaskKind

if TYPE_CHECKING:
    from vine.scheduler.state import State

_STAGED = TaskState.STAGED
_LIBRARY = TaskKind.LIBRARY
_COMING_WEIGHT = 0.5  # An input on its way counts half as much as one that is there.


def make_ready(state: State, record: TaskRecord, is_news: bool = True) -> None:
    """Everything that the task waited for is there; it is no news of one that waited for nothing."""
    state.tasks.move(record, TaskState.READY)
    _queue(state, record)
    if is_news:
        state.record(TaskReady(record.task_id, record.outcome is not None))


def _queue(state: State, record: TaskRecord) -> None:
    state.placement.push(record)
    state.prefetches.push(record)


def reconsider(state: State, record: TaskRecord) -> None:
    """A task that has lost its attempt: ready again, or waiting if an input is gone meanwhile."""
    if record.cancel_requested:
        state.doom(record.task_id, *record.cancelled_as)
        return
    if record.spec.kind is _LIBRARY and (trouble := installing.trouble_of(state, record.spec)) is not None:
        state.doom(record.task_id, *trouble)
        return
    wait_for_missing(state, record)
    if record.unmet:
        if record.state is not TaskState.WAITING:
            state.tasks.move(record, TaskState.WAITING)
        state.record(TaskWaits(record.task_id, record.outcome is not None))
    elif record.state is TaskState.READY:
        _queue(state, record)  # What it had lost came back as soon as it was asked for: it only gave up its place.
    else:
        make_ready(state, record)


def wait_for_missing(state: State, record: TaskRecord) -> None:
    """Note what the task must wait for; lost temporary files are made again."""
    for dependency in record.spec.depends:
        needed = state.tasks.by_id[dependency]
        if not results.is_there(state, needed):
            record.unmet = added(record.unmet, dependency)
            results.remake(state, needed)
    files, objects = state.files, state.files.objects
    for file_id in record.inputs:
        file = files.by_id[file_id]
        if file.object_id is None or not files.can_be_had(objects[file.object_id]):
            if file.failure is None:
                recovery.remake(state, file)
                if state.files.is_available(file_id):
                    continue  # It is the same as one that was made before.
            record.unmet = added(record.unmet, file_requirement(file_id))
            file.waiting.add(record.task_id)
            if file.failure is not None:
                state.doom(record.task_id, *file.failure)  # It could be had when the task was submitted.


def requirement_met(state: State, requirement: TaskId | FileId, waiting: Set[TaskId]) -> None:
    """A result or a file has come to exist: tasks that waited for it last are ready."""
    for task_id in sorted(waiting):
        record = state.tasks.by_id.get(task_id)
        if record is None or record.state is not TaskState.WAITING:
            continue
        record.unmet = removed(record.unmet, requirement)
        if not record.unmet:
            reconsider(state, record)


def leave(state: State, worker: WorkerRecord, record: TaskRecord, outcome: Outcome) -> None:
    """The task's attempt is over; most leave what they had to the task that is next."""
    placement = state.placement
    is_usual = outcome is Outcome.SUCCESS and record.spec.kind is not _LIBRARY and worker.attempts_max is None
    if is_usual and placement.vacated is None and not placement.loads.moved:
        worker.leave(record)
        placement.vacated, placement.due = worker, True
        state.prefetches.close(worker.worker_id)
    else:
        vacate(state)
        worker.release(record, state.now)
        state.load_changed(worker)


def vacate(state: State) -> None:
    """What was left is there for everybody."""
    placement = state.placement
    if (worker := placement.vacated) is not None:
        placement.vacated = None
        worker.vacate(state.now)
        state.load_changed(worker)


class Dispatch:
    """Pairs ready tasks with workers; what the placement may ask of this room."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    def go_on(self) -> None:
        """Give out tasks while there is room."""
        state = self._state
        returns_awaited = bool(state.awaited) and state.now < state.dispatches_from
        placement, goes_on = state.placement, not state.stopping and not returns_awaited
        if placement.vacated is not None and not (goes_on and placement.hand_over(state.tasks.by_id, self)):
            vacate(state)
        if placement.due and goes_on:
            placement.next_pairs(state.tasks.by_id, self, state.now)

    def holders(self, record: TaskRecord) -> Iterator[tuple[WorkerId, float]]:
        return held_bytes(self._state, record)

    def places(self, shape: Shape) -> set[WorkerId]:
        return places_of(self._state, shape)

    def instead(self, record: TaskRecord, worker: WorkerRecord) -> TaskRecord:
        any_planned = worker.worker_id in self._state.prefetches.plans
        return prefetching.instead(self._state, record, worker) if any_planned else record

    def assign(self, record: TaskRecord, worker: WorkerRecord, allotment: Resources) -> None:
        state = self._state
        inputs = _inputs(state, record)
        if inputs is None or (record.spec.depends and not _has_results(state, record)):
            reconsider(state, record)  # An input was lost while the task was ready.
            return
        worker_id = worker.worker_id
        attempt = Attempt(state.next_attempt(), worker_id, state.now, allotment)
        if state.prefetches.worker_of or state.prefetches.passes:
            state.prefetches.forget(record.task_id)
        state.tasks.begin(record, attempt)
        if worker.vacant is not None:
            worker.take_over(record)
        else:
            if record.spec.kind is _LIBRARY:
                installing.take_slot(state, record, worker, allotment)
            else:
                worker.take(record)
            state.load_changed(worker)
        state.tasks.move(record, _STAGED)
        needed = inputs
        if record.spec.depends:
            needed = inputs + [known.object_id for known in _results(state, record)]
        if not worker.holds.issuperset(needed):
            for object_id in needed:
                if object_id not in worker.holds:
                    staging.need(state, worker_id, state.files.objects[object_id])
        state.give(worker_id, _assignment(state, record, attempt, allotment, inputs))
        state.record(AttemptAssigned(attempt.attempt_id, record.spec.task_id, worker_id))


def places_of(state: State, shape: Shape) -> set[WorkerId]:
    """The workers that have all strict inputs of a shape."""
    found: set[WorkerId] | None = None
    for file_id in shape.strict:
        declared = file_id in state.files.by_id  # Shapes outlive their tasks, and so the files of these.
        known = state.files.object_of(file_id) if declared else None
        holders: set[WorkerId] = set() if known is None else known.holders - {MANAGER}
        found = holders if found is None else found & holders
    return found or set()


def held_bytes(state: State, record: TaskRecord) -> Iterator[tuple[WorkerId, float]]:
    """Who holds how much of the task's input, or has loaded its library."""
    if record.spec.kind is _LIBRARY:
        for worker_id in few(installing.places_of(state, record.spec)):
            yield worker_id, config.library_worth_bytes
    files, objects, receiving = state.files.by_id, state.files.objects, state.transfers.receiving
    for file_id in record.inputs:
        object_id = files[file_id].object_id
        if object_id is None:
            continue
        taken = objects[object_id]
        weight = 0 if taken.data is not None else state.files.weight_bytes(taken)
        if weight <= config.inline_bytes_max:
            continue
        for worker_id in few(taken.holders):
            if worker_id != MANAGER:
                yield worker_id, float(weight)
        coming = receiving.get(taken.archive or object_id)
        for worker_id in few(coming.keys()) if coming else ():
            yield worker_id, weight * _COMING_WEIGHT
    for task_id in record.spec.depends:
        dependency = state.tasks.by_id[task_id]
        known = state.files.objects.get(dependency.value_object) if dependency.value_object is not None else None
        if dependency.generation and known is not None:
            for worker_id in few(known.holders):
                yield worker_id, float(state.files.weight_bytes(known))


def _inputs(state: State, record: TaskRecord) -> list[ObjectId] | None:
    """What the task's files stand for, in their order; None if one of them cannot be had."""
    files, found = state.files, list[ObjectId]()
    by_id, objects = files.by_id, files.objects
    for file_id in record.inputs:
        object_id = by_id[file_id].object_id
        if object_id is None:
            return None
        known = objects[object_id]
        if not (known.holders and known.archive is None) and not files.can_be_had(known):  # First what most are.
            return None
        found.append(object_id)
    return found


def _has_results(state: State, record: TaskRecord) -> bool:
    return all(results.is_there(state, state.tasks.by_id[task_id]) for task_id in record.spec.depends)


def _results(state: State, record: TaskRecord) -> list[ObjectRecord]:
    """Those results of other tasks that the task takes and that do not travel in its assignment."""
    inline_left = config.dependency_bytes_inline_max
    found = []
    for task_id in record.spec.depends:
        dependency = state.tasks.by_id[task_id]
        if dependency.value is not None:
            inline_left -= len(dependency.value)
            if inline_left < 0:
                _make_object(state, dependency)
        if dependency.value_object is not None:
            found.append(state.files.objects[dependency.value_object])
    return found


def suits_another(state: State, record: TaskRecord) -> bool:
    """Whether there is a worker that the task does not avoid and that could run it, were it empty."""
    shape = state.placement.shape_of(record)
    others = state.workers.keys() - record.avoid
    if shape.strict:
        others &= places_of(state, shape)
    there = [state.workers[worker_id] for worker_id in others]
    return any(shape.allotment(w.capacity) is not None and has_features(w, shape.features) for w in there)


def needed_objects(state: State, record: TaskRecord) -> Iterator[ObjectRecord]:
    """Every object that must be on a worker before the task's body starts there."""
    for file_id in record.inputs:
        known = state.files.object_of(file_id)
        if known is not None:
            yield known
        else:  # Of one that runs, the last copy may turn out to be bad.
            assert record.state is TaskState.RUNNING, f"task {record.task_id} is staged without its input {file_id}"
    yield from _results(state, record)


def takes(state: State, record: TaskRecord, known: ObjectRecord) -> bool:
    """Whether the task needs the object on its worker, be it to unpack it there."""
    return any(needed is known or needed.archive == known.object_id for needed in needed_objects(state, record))


def _make_object(state: State, dependency: TaskRecord) -> None:
    """Let a small result travel as an object, since an assignment with all of its kind were too long."""
    if dependency.value_object is None:
        assert dependency.value is not None
        manifest = manifest_of_bytes(dependency.value)
        identity = object_id(manifest)
        new = ObjectRecord(identity, manifest, f"result of task {dependency.task_id}", data=dependency.value)
        state.files.objects.setdefault(identity, new).results.add(dependency.task_id)
        dependency.value_object = identity


def _assignment(
    state: State, record: TaskRecord, attempt: Attempt, allotment: Resources, inputs: list[ObjectId]
) -> Assignment:
    """`inputs` are what the task's files stand for, in the order of `input_files`."""
    spec, at = record.spec, 0
    function = payload_object = environment = None
    if spec.function is not None:
        function, at = inputs[0], 1
    if spec.payload_file is not None:
        payload_object, at = inputs[at], at + 1
    if spec.environment is not None:
        environment, at = inputs[at], at + 1
    mounted = at + len(spec.shared)
    return Assignment(
        attempt=attempt.attempt_id,
        task_id=spec.task_id,
        kind=spec.kind,
        allotment=allotment,
        command=spec.command,
        function=function,
        payload=spec.payload,
        payload_object=payload_object,
        values=tuple([_dependency_value(state.tasks.by_id[task_id]) for task_id in spec.depends])
        if spec.depends
        else (),
        inputs=tuple(map(_mount, inputs[mounted:], spec.inputs)) if spec.inputs else (),
        outputs=spec.outputs,
        variables=spec.variables,
        environment=environment,
        time_limit_s=spec.time_limit_s,
        label=spec.label,
        limits=limits_of(state, record),
        library=installing.order_of(state, spec, allotment) if spec.kind is _LIBRARY else None,
        shared=tuple(inputs[at:mounted]) if spec.shared else (),
    )


def _mount(object_id: ObjectId, mount: Mount) -> ObjectMount:
    return ObjectMount(object_id, mount.name)


def limits_of(state: State, record: TaskRecord) -> Limits | None:
    """What the task is killed for: what it or its category has named, not what was added in proportion."""
    spec = record.spec
    category, request = record.category, spec.request
    if category is not None:  # Most tasks have none.
        request = category.limits(request, record.at_maximum)
    if spec.kind is _LIBRARY:
        request = installing.with_own_limits(state, spec, request)
    if request.memory_mb is None and request.disk_mb is None:
        return None
    if spec.policy is not None and not spec.policy.enforce:
        return None
    return Limits(request.memory_mb, request.disk_mb)


def _dependency_value(dependency: TaskRecord) -> DependencyValue:
    if dependency.value_object is not None:
        return DependencyValue(dependency.task_id, object_id=dependency.value_object)
    return DependencyValue(dependency.task_id, value=dependency.value)
