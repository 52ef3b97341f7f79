"""Which inputs of tasks that wait for a slot go ahead to the workers that will probably run them?

Tasks at the head of a queue are planned on workers whose slots will be free next: on one that has their large inputs
or is about to, else on one whose disk has free room for them. What is sent ahead makes room for nothing, waits for
nothing, and gives way to whatever is needed. A worker whose slot comes free takes a task that is planned on it before
the head of the queue, which it may pass a few times. A task that runs elsewhere leaves spare copies.

Tasks so short that they are queued on workers are left out: their inputs go with them. Each look at a queue is at a
few tasks and a few workers, however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.names import MANAGER, ObjectId, TaskId, WorkerId
from vine.scheduler import broadcasting, dispatch, staging
from vine.scheduler.files import ObjectRecord
from vine.scheduler.queues import Entry, Queue
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.wall_times import lasts
from vine.scheduler.workers import WorkerRecord, has_features

if TYPE_CHECKING:
    from vine.scheduler.state import State

_STALE_MIN = 64  # Entries of a queue that are not worth a clearance.


def settle(state: State) -> bool:
    """Send ahead what can be; whether anything was changed that the forests must hear of."""
    prefetches = state.prefetches
    if state.transfers.wanting:
        return bool(prefetches.coming) and _give_way(state)
    if not prefetches.due or state.stopping:
        return False
    prefetches.due = False
    for shape in list(prefetches.queues):
        _look(state, shape)
    return bool(state.transfers.dirty)


def clean(state: State) -> None:
    """Forget tasks that do not wait for a slot any more."""
    prefetches = state.prefetches
    for task_id in [*prefetches.worker_of, *prefetches.passes]:
        if not _waits(state, task_id):
            prefetches.forget(task_id)
    for shape, queue in list(prefetches.queues.items()):
        if len(queue) > 2 * state.tasks.counts[TaskState.READY] + _STALE_MIN:
            prefetches.queues[shape] = Queue(entry for entry in queue if _waits(state, entry[2]))


def instead(state: State, record: TaskRecord, worker: WorkerRecord) -> TaskRecord:
    """The task to be given to the worker, which has a slot for this one: one of its kind that is planned there."""
    prefetches = state.prefetches
    plans = prefetches.plans.get(worker.worker_id)
    if not plans or record.task_id in plans or prefetches.passes[record.task_id] >= config.prefetch_passes_max:
        return record
    if _has_inputs(state, worker, record):
        return record
    for task_id in list(plans):
        other = state.tasks.by_id.get(task_id)
        if other is None or other.state is not TaskState.READY:
            prefetches.forget(task_id)
        elif (
            state.placement.shape_of(other) is state.placement.shape_of(record)
            and other.spec.priority == record.spec.priority
            and worker.worker_id not in other.avoid
            and _has_inputs(state, worker, other)
        ):
            prefetches.passes[record.task_id] += 1
            return other
    return record


def large_inputs(state: State, record: TaskRecord) -> list[ObjectRecord]:
    """Those that are worth sending ahead."""
    large = []
    for file_id in record.inputs:
        known = state.files.object_of(file_id)
        if known is not None and state.files.weight_bytes(known) >= config.prefetch_bytes_min:
            large.append(known)
    return large


def _waits(state: State, task_id: TaskId) -> bool:
    record = state.tasks.by_id.get(task_id)
    return record is not None and record.state is TaskState.READY


def _has_inputs(state: State, worker: WorkerRecord, record: TaskRecord) -> bool:
    """Whether those inputs that are worth sending ahead are on the worker, or are about to be."""
    for file_id in record.inputs:
        known = state.files.object_of(file_id)
        if known is None or known.object_id in worker.holds:
            continue
        is_large = state.files.weight_bytes(known) >= config.prefetch_bytes_min
        if is_large and not staging.comes(state, worker, known.object_id):
            return False
    return True


def _are_at(worker: WorkerRecord, inputs: list[ObjectRecord], state: State) -> bool:
    for each in inputs:
        if each.object_id not in worker.holds and not staging.comes(state, worker, each.object_id):
            return False
    return True


# --- what is sent ahead ---


def _look(state: State, shape: str) -> None:
    """Plan the tasks at the head of a queue, in order, until no worker can take one."""
    prefetches = state.prefetches
    queue = prefetches.queues[shape]
    for _ in range(config.prefetch_tasks_a_step_max):
        entry = queue.head
        if entry is None:
            del prefetches.queues[shape]
            return
        if not prefetches.any_open:
            return
        if _is_worth_it(state, entry[2]) and not _plan(state, entry, state.tasks.by_id[entry[2]]):
            return
        queue.pop()
    prefetches.due = True


def _is_worth_it(state: State, task_id: TaskId) -> bool:
    """Whether the task still waits, long enough to need no place in a worker's own queue, for something large."""
    if task_id in state.prefetches.worker_of or not _waits(state, task_id):
        return False
    record = state.tasks.by_id[task_id]
    if state.placement.shape_of(record).ahead:
        return False
    return any(not _is_everywhere(state, known) for known in large_inputs(state, record))


def _is_everywhere(state: State, known: ObjectRecord) -> bool:
    """Whether it makes next to no difference where a task runs that needs it."""
    holders = len(known.holders) - (MANAGER in known.holders)
    return holders >= config.prefetch_everywhere_share * len(state.workers)


def _plan(state: State, entry: Entry, record: TaskRecord) -> bool:
    """Whether a worker could be found: of those that are asked, the one that has most of the inputs."""
    prefetches, inputs = state.prefetches, large_inputs(state, record)
    asked = dict.fromkeys(prefetches.next_open(), 0)
    for each in inputs:
        size = state.files.weight_bytes(each)
        if len(each.holders) <= config.prefetch_workers_probed_max:
            asked |= {holder: 0 for holder in sorted(each.holders - asked.keys()) if prefetches.is_open(holder)}
        for worker_id in asked:
            asked[worker_id] += size * _are_at(state.workers[worker_id], [each], state)
    for worker_id in sorted(asked, key=asked.__getitem__, reverse=True):
        if not _suits(state, record, state.workers[worker_id]):
            prefetches.passed_over(worker_id)
        elif _send_ahead(state, entry, record, inputs, worker_id):
            return True
    return False


def _suits(state: State, record: TaskRecord, worker: WorkerRecord) -> bool:
    """Whether the task may run there once a slot is free, and a slot that comes free next is not planned for others."""
    shape = state.placement.shape_of(record)
    if not worker.open or worker.worker_id in record.avoid or not has_features(worker, shape.features):
        return False
    if shape.allotment(worker.capacity) is None or not lasts(worker, shape.time_min_s, state.now):
        return False
    if shape.key in worker.no_room:
        return False
    if shape.strict and worker.worker_id not in dispatch.places_of(state, shape):
        return False
    return not state.prefetches.is_full(worker)


def _send_ahead(
    state: State, entry: Entry, record: TaskRecord, inputs: list[ObjectRecord], worker_id: WorkerId
) -> bool:
    """Plan the task on the worker and send what it lacks, if there is free room for that and nothing else comes."""
    prefetches, worker = state.prefetches, state.workers[worker_id]
    lacking = [each for each in inputs if not _are_at(worker, [each], state)]
    coming = _still_coming(state, worker)
    if lacking:
        running = all(given.state is TaskState.RUNNING for given in worker.attempts.values())
        room = 0 if worker.status is None else worker.status.free_disk_bytes
        room -= sum(_room_bytes(state, state.files.objects[object_id]) for object_id in coming)
        fits = sum(_room_bytes(state, each) for each in lacking) <= room
        if not running or not fits or len(coming) + len(lacking) > config.prefetch_objects_max:
            prefetches.close(worker_id)
            return False
    prefetches.plan(record.shape, entry, worker_id)
    if lacking:
        prefetches.coming[worker_id] = coming | {each.object_id for each in lacking}
    for each in lacking:
        staging.need(state, worker_id, each)
    if prefetches.is_full(worker):
        prefetches.close(worker_id)
    return True


def _still_coming(state: State, worker: WorkerRecord) -> set[ObjectId]:
    """What was sent ahead to the worker and is not there yet."""
    prefetches = state.prefetches
    sent = prefetches.coming.pop(worker.worker_id, set())
    coming = {object_id for object_id in sent if staging.comes(state, worker, object_id)}
    if coming:
        prefetches.coming[worker.worker_id] = coming
    return coming


def _room_bytes(state: State, known: ObjectRecord) -> int:
    """What it takes up; of what is unpacked, the archive too."""
    archive = None if known.archive is None else state.files.objects.get(known.archive)
    return state.files.weight_bytes(known) + (0 if archive is None else state.files.weight_bytes(archive))


# --- what gives way ---


def _give_way(state: State) -> bool:
    """Somebody waits for a source: what is only sent ahead takes no slot that could serve it."""
    transfers = state.transfers
    workers = [state.workers[worker_id] for worker_id in state.prefetches.coming]
    sent = [(worker, object_id) for worker in workers for object_id in sorted(_still_coming(state, worker))]
    if not sent:
        return False
    wanted = [state.files.objects[object_id] for object_id in transfers.wanting if object_id in state.files.objects]
    sources = {node for known in wanted for node in known.holders | transfers.coming_to(known.object_id)}
    gave_way = False
    for worker, object_id in sent:
        known = state.files.objects.get(object_id)
        if known is None:
            continue
        flowing = known if known.archive is None else state.files.objects.get(known.archive, known)
        transfer_id = transfers.into.get((worker.worker_id, flowing.object_id))
        waits = worker.worker_id in transfers.wanting.get(flowing.object_id, {})
        in_the_way = transfer_id is not None and not sources.isdisjoint(transfers.active[transfer_id].sources)
        if (waits or in_the_way) and not _is_needed(state, worker, flowing):
            _hold_back(state, worker, known, flowing)
            gave_way = True
    if gave_way:
        staging.plan_all(state)
    return gave_way


def _hold_back(state: State, worker: WorkerRecord, known: ObjectRecord, flowing: ObjectRecord) -> None:
    """What has come of it is kept; the tasks that it was for may be planned anew."""
    staging.cancel_wanting(state, worker.worker_id, flowing.object_id)
    transfer_id = state.transfers.into.get((worker.worker_id, flowing.object_id))
    if transfer_id is not None:
        staging.abandon(state, state.transfers.active[transfer_id])
    if known is not flowing:
        staging.stop_bringing(state, worker.worker_id, known.object_id)
    for task_id in list(state.prefetches.plans.get(worker.worker_id, ())):
        if _waits(state, task_id) and not _has_inputs(state, worker, state.tasks.by_id[task_id]):
            state.prefetches.plan_again(task_id)


def _is_needed(state: State, worker: WorkerRecord, flowing: ObjectRecord) -> bool:
    """Whether it, or what is unpacked from it, is wanted on the worker for another reason by now."""
    copies = state.copies
    for known in broadcasting.concerned_by(state, flowing):
        if worker.worker_id in copies.targets.get(known.object_id, ()):
            return True
        if any(worker.worker_id in broadcast.missing for broadcast in copies.of(known)):
            return True
    return any(dispatch.takes(state, record, flowing) for record in worker.attempts.values())
