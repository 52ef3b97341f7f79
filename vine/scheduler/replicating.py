"""Where do further copies go of an object that several hosts are to keep?

Each copy is on a host of its own. Those that are there are kept (see keeping.py); what lacks is brought to workers
in turn. A worker that had no room is passed over for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.names import ObjectId
from vine.scheduler import broadcasting, keeping, staging, submission
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.peers import ClientRecord
from vine.wire.messages import ReplicateFile

if TYPE_CHECKING:
    from vine.scheduler.state import State


def start(state: State, client: ClientRecord, message: ReplicateFile) -> None:
    """A client wants so many hosts to keep the file."""
    file = submission.own_file(state, client, message.file_id)
    if file is not None:
        want(state, file, message.copies)


def want(state: State, file: FileRecord, copies: int) -> None:
    """So many copies are to be kept from now on, of whatever the file stands for then."""
    file.copies = copies
    state.copies.replicated.discard(file.file_id)
    if copies > 1:
        state.copies.replicated.add(file.file_id)
    known = state.files.object_of(file.file_id)
    if known is not None:
        state.files.count_copies(known)
        keeping.appoint(state, known)
        state.copies.objects[known.object_id] = None


def settle(state: State) -> None:
    """See to the copies of what the step has changed."""
    copies = state.copies
    if not (copies.replicated or copies.targets or copies.few):
        return
    for worker_id in copies.left:
        for object_id, targets in copies.targets.items():
            if worker_id in targets:
                targets.discard(worker_id)
                copies.objects[object_id] = None
        for pair in [pair for pair in copies.refused if pair[0] == worker_id]:
            del copies.refused[pair]
    for worker_id, object_id, _, _ in copies.failed:
        if worker_id in copies.targets.get(object_id, ()):
            copies.targets[object_id].discard(worker_id)
            copies.refused[worker_id, object_id] = state.now + config.copy_retry_s
            copies.objects[object_id] = None
    if copies.joined:
        copies.objects.update(copies.few)
    for object_id in [*copies.objects, *state.transfers.dirty]:
        known = state.files.objects.get(object_id)
        if known is None:
            _forget(state, object_id)
            continue
        for concerned in broadcasting.concerned_by(state, known):
            if concerned.copies > 1 or concerned.object_id in copies.targets:
                _update(state, concerned)


def ask_again(state: State) -> None:
    """Workers that had no room a while ago may have some now."""
    copies = state.copies
    for pair in [pair for pair, until in copies.refused.items() if state.now >= until]:
        del copies.refused[pair]
        copies.objects[pair[1]] = None


def _update(state: State, known: ObjectRecord) -> None:
    copies, object_id = state.copies, known.object_id
    if known.copies == 1 or not state.files.can_be_had(known):
        _forget(state, object_id)
        return
    kept = {state.workers[keeper].host_id for keeper in known.keepers}
    before = sorted(copies.targets.get(object_id, ()))
    wanted = known.copies - len(kept)
    targets = set([target for target in before if state.workers[target].host_id not in kept][:wanted])
    lacking = wanted - len(targets)
    if lacking > 0:
        beside, here = known.keepers | targets, known.holders | state.transfers.coming_to(object_id)
        picked = copies.pick(
            lacking, beside, here, lambda worker_id: (worker_id, object_id) in copies.refused, one_a_host=True
        )
        targets.update(picked)
        lacking -= len(picked)
    for worker_id in sorted(targets):
        staging.need(state, worker_id, known)
    _forget(state, object_id)
    if targets:
        copies.targets[object_id] = targets
    if lacking > 0:
        copies.few[object_id] = None


def _forget(state: State, object_id: ObjectId) -> None:
    state.copies.targets.pop(object_id, None)
    state.copies.few.pop(object_id, None)
