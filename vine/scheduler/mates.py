"""Which worker of a host brings an object there, and who waits for it?

Workers of one host share a store. So one of them downloads or unpacks, and its mates wait without a slot
of anybody. Once the object is there each mate is told to get it from the one that has it, and finds it in
the store: only then does the mate count as a holder. If the one that brings it fails, a mate takes over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.names import MANAGER, HostId, ObjectId, WorkerId
from vine.scheduler import staging
from vine.scheduler.files import ObjectRecord
from vine.scheduler.workers import WorkerRecord

if TYPE_CHECKING:
    from vine.scheduler.state import State


def bringer(state: State, worker: WorkerRecord, known: ObjectRecord) -> WorkerId | None:
    """Another worker of the host that has the object or is about to."""
    if len(state.hosts[worker.host_id]) == 1 or not _is_shared(state, known):
        return None
    mates = [mate for mate in state.hosts[worker.host_id] if mate != worker.worker_id]
    return _holder(state, mates, known) or next((mate for mate in mates if _gets(state, mate, known)), None)


def wait(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """The worker is to have the object too, once it is on its host."""
    worker.awaits.add(known.object_id)
    hosts = state.transfers.mates.setdefault(known.object_id, {})
    hosts.setdefault(worker.host_id, {})[worker.worker_id] = None
    state.transfers.touch(worker.worker_id, known.object_id)


def wait_no_more(state: State, worker: WorkerRecord, object_id: ObjectId) -> None:
    if object_id not in worker.awaits:
        return
    worker.awaits.remove(object_id)
    hosts = state.transfers.mates[object_id]
    del hosts[worker.host_id][worker.worker_id]
    if not hosts[worker.host_id]:
        del hosts[worker.host_id]
    if not hosts:
        del state.transfers.mates[object_id]


def worker_lost(state: State, worker: WorkerRecord) -> None:
    """What it was to bring, others of its host may have to."""
    for object_id in list(worker.awaits):
        wait_no_more(state, worker, object_id)
    for object_id, hosts in state.transfers.mates.items():
        if worker.host_id in hosts:
            state.transfers.touch(next(iter(hosts[worker.host_id])), object_id)


def drop_object(state: State, object_id: ObjectId) -> None:
    """Nobody needs the object any more."""
    for mates in state.transfers.mates.pop(object_id, {}).values():
        for mate in mates:
            state.workers[mate].awaits.remove(object_id)


def settle(state: State) -> None:
    """See where something has changed, whether those who wait can go on now, or one of them must bring it."""
    for object_id in [object_id for object_id in state.transfers.dirty if object_id in state.transfers.mates]:
        known, waiting = state.files.objects[object_id], state.transfers.mates[object_id]
        nodes = state.transfers.dirty[object_id]
        touched = [state.workers[node].host_id for node in nodes if node in state.workers]
        # What the manager has, or who may share it, concerns everybody.
        for host in list(waiting if MANAGER in nodes else dict.fromkeys(touched)):
            if host in waiting:
                _settle_host(state, known, host)


def _settle_host(state: State, known: ObjectRecord, host: HostId) -> None:
    waiting = [state.workers[mate] for mate in state.transfers.mates[known.object_id][host]]
    for mate in [mate for mate in waiting if known.object_id in mate.holds]:
        wait_no_more(state, mate, known.object_id)  # It has made it itself.
        waiting.remove(mate)
    shared, holder = _is_shared(state, known), _holder(state, state.hosts[host], known)
    if not shared or holder is not None:
        for mate in waiting:
            wait_no_more(state, mate, known.object_id)
            if shared and holder is not None and known.archive is None:
                staging.start(state, known, (holder,), mate.worker_id, within_host=True)
            else:
                staging.begin(state, mate, known)
    elif waiting and not any(_gets(state, mate, known) for mate in state.hosts[host]):
        wait_no_more(state, waiting[0], known.object_id)
        staging.begin(state, waiting[0], known)


def _is_shared(state: State, known: ObjectRecord) -> bool:
    """Whether workers may have the object of each other. What is unpacked on a host never leaves it."""
    return known.archive is not None or staging.is_shared(state, known)


def _holder(state: State, mates: dict[WorkerId, None] | list[WorkerId], known: ObjectRecord) -> WorkerId | None:
    shunned = state.transfers.shunned
    return next((mate for mate in mates if mate in known.holders and (mate, known.object_id) not in shunned), None)


def _gets(state: State, mate: WorkerId, known: ObjectRecord) -> bool:
    """Whether this worker is to bring the object to its host."""
    return known.object_id in state.workers[mate].making or state.transfers.is_coming(mate, known.object_id)
