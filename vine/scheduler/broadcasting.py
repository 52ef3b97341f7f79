"""Who gets a file that is broadcast, and when is its client told that they have it?

A worker that could not get the file, or had to give it up for room, is not asked again: what needs it there brings
it. Where `count` workers were wanted another one takes its place; where there is none, one less is waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vine import config
from vine.names import WorkerId
from vine.scheduler import downloads, recovery, staging
from vine.scheduler.copies import Broadcast
from vine.scheduler.files import FileRecord, ObjectRecord, is_output_only
from vine.scheduler.peers import ClientRecord
from vine.wire.messages import FileSpread, SpreadFile
from vine.wire.parts import FileKind, Outcome

if TYPE_CHECKING:
    from vine.scheduler.state import State

_NAMES_SHOWN = 5


def start(state: State, client: ClientRecord, message: SpreadFile) -> None:
    """A client wants the file on workers."""
    file = state.files.by_id.get(message.file_id)
    for_all = message.count is None and not message.workers
    label = f"file {message.file_id}" if file is None else file.spec.label
    broadcast = Broadcast(client.peer, message.request, message.file_id, label, message.count, for_all, state.now)
    broadcast.chosen = {worker_id for worker_id in message.workers if worker_id in state.workers}
    state.copies.add(broadcast)
    if file is None or file.client != client.peer or file.forgotten:
        _end(state, broadcast, Outcome.INPUT_MISSING, _not_declared(label))
    elif file.failure is not None:
        _end(state, broadcast, *file.failure)
    elif _can_never_exist(file):
        _end(state, broadcast, Outcome.INPUT_MISSING, f"{label} does not exist: create it before it is declared")
    elif message.workers and not broadcast.chosen:
        _end(state, broadcast, Outcome.WORKER_LOST, _nobody_of(state, label, message.workers))
    else:
        state.copies.files[file.file_id] = None
        recovery.remake(state, file)  # If it is lost, or was never downloaded.


def _not_declared(label: str) -> str:
    return f"{label} is not declared (any more): broadcast a file before it is undeclared, or declare it again"


def _nobody_of(state: State, label: str, workers: Iterable[WorkerId]) -> str:
    connected = ", ".join(sorted(state.workers)[:_NAMES_SHOWN]) or "none"
    named = ", ".join(list(workers)[:_NAMES_SHOWN])
    return f"{label} was to be brought to {named}, and no such worker is connected; connected are: {connected}"


def _can_never_exist(file: FileRecord) -> bool:
    made_by_nobody = file.object_id is None and file.producer is None and is_output_only(file)
    return file.spec.kind is FileKind.LOCAL and made_by_nobody


def stop(state: State, file: FileRecord) -> None:
    """Nobody is to get it any more."""
    for broadcast in list(state.copies.broadcasts.get(file.file_id, ())):
        _end(state, broadcast, Outcome.CANCELLED, f"{broadcast.label} was pruned before all had it: broadcast it again")


def undeclared(state: State, file: FileRecord) -> None:
    """Its client will not name it any more: told while the file is still there, which may be downloaded for this."""
    for broadcast in list(state.copies.broadcasts.get(file.file_id, ())):
        _end(state, broadcast, Outcome.INPUT_MISSING, _not_declared(broadcast.label))


def settle(state: State) -> None:
    """Bring all broadcasts up to date with what the step has changed."""
    copies = state.copies
    if not copies.broadcasts:
        return
    for broadcast in list(copies.all()) if copies.left or copies.failed else ():
        if copies.left:
            _left(state, broadcast, copies.left)
        for worker_id, object_id, outcome, message in copies.failed:
            if not broadcast.over and object_id == broadcast.object_id and worker_id in broadcast.chosen:
                _give_up(state, broadcast, worker_id, outcome, message)
    for file_id in copies.files:
        for broadcast in list(copies.broadcasts.get(file_id, ())):
            _look(state, broadcast)
    for object_id, nodes in list(state.transfers.dirty.items()):
        known = state.files.objects.get(object_id)
        for concerned in () if known is None else concerned_by(state, known):
            for broadcast in copies.of(concerned):
                _update(state, broadcast, concerned, list(nodes))
    for broadcast in list(copies.all()) if copies.joined else ():
        _fill(state, broadcast, copies.joined)
        _tell_if_complete(state, broadcast)


def concerned_by(state: State, known: ObjectRecord) -> Iterator[ObjectRecord]:
    """The object, and what is unpacked from it."""
    yield known
    for file_id in sorted(known.files):
        for unpacked in state.files.by_id[file_id].unpacked:
            product = state.files.object_of(unpacked)
            if product is not None:
                yield product


def _look(state: State, broadcast: Broadcast) -> None:
    """Its file is to be seen anew: can it be had, and what does it stand for?"""
    file = state.files.by_id[broadcast.file_id]
    if file.failure is not None:
        _end(state, broadcast, *file.failure)
    elif (known := state.files.object_of(file.file_id)) is not None:
        _update(state, broadcast, known, [])


def _update(state: State, broadcast: Broadcast, known: ObjectRecord, nodes: list[WorkerId]) -> None:
    """What these nodes have of it, or how it comes to them, may have changed."""
    if not state.files.can_be_had(known):
        broadcast.object_id = None  # It is made again, or fails.
        return
    if broadcast.object_id != known.object_id:
        archive = known if known.archive is None else state.files.objects[known.archive]
        broadcast.size_bytes = len(archive.data or b"") if archive.manifest is None else archive.manifest.size
        broadcast.object_id, broadcast.flowing = known.object_id, archive.object_id
        broadcast.began_at = state.now if broadcast.began_at is None else broadcast.began_at
        broadcast.missing = set(broadcast.chosen)
        _fill(state, broadcast, list(state.workers))
        nodes = sorted(broadcast.chosen)
    for node in nodes:
        if node in broadcast.chosen:
            _bring(state, broadcast, known, node)
    _tell_if_complete(state, broadcast)


def _bring(state: State, broadcast: Broadcast, known: ObjectRecord, worker_id: WorkerId) -> None:
    if known.object_id in state.workers[worker_id].holds:
        broadcast.missing.discard(worker_id)
    elif worker_id not in broadcast.missing and broadcast.ended_at is not None:
        broadcast.chosen.discard(worker_id)  # It had it, and what it does with it is not ours any more.
    else:
        broadcast.missing.add(worker_id)
        staging.need(state, worker_id, known)


def _fill(state: State, broadcast: Broadcast, candidates: Iterable[WorkerId]) -> None:
    """Choose who is to have it, of these or as many as are lacking; nobody before it is known what it is."""
    known = None if broadcast.object_id is None else state.files.objects.get(broadcast.object_id)
    if known is None or not state.files.can_be_had(known):
        broadcast.object_id = None
        return
    new: Iterable[WorkerId] = ()
    if broadcast.for_all:
        new = [worker_id for worker_id in candidates if worker_id not in broadcast.given_up]
    elif broadcast.count is not None and len(broadcast.chosen) < broadcast.count:
        lacking, given_up = broadcast.count - len(broadcast.chosen), broadcast.given_up
        here = known.holders | state.transfers.coming_to(known.object_id)
        new = state.copies.pick(lacking, broadcast.chosen, here, given_up.__contains__, one_a_host=False)
    for worker_id in new:
        if worker_id not in broadcast.chosen:
            broadcast.chosen.add(worker_id)
            broadcast.missing.add(worker_id)
            _bring(state, broadcast, known, worker_id)


def _left(state: State, broadcast: Broadcast, worker_ids: list[WorkerId]) -> None:
    for worker_id in worker_ids:
        broadcast.given_up.pop(worker_id, None)
    gone = [worker_id for worker_id in worker_ids if worker_id in broadcast.chosen]
    broadcast.chosen.difference_update(gone)  # All of them, before others are chosen beside those that are still here.
    for worker_id in gone:
        if not broadcast.over:
            _replace(state, broadcast, worker_id)
    if gone and not (broadcast.over or broadcast.chosen or broadcast.for_all or broadcast.count is not None):
        message = f"{gone[-1]}, the last of the workers that {broadcast.label} was to be brought to, was lost"
        _end(state, broadcast, Outcome.WORKER_LOST, message)


def _give_up(state: State, broadcast: Broadcast, worker_id: WorkerId, outcome: Outcome, message: str) -> None:
    """The worker cannot have it, or had to give it up."""
    broadcast.given_up[worker_id] = (outcome, message)
    _replace(state, broadcast, worker_id)
    if not broadcast.chosen and broadcast.ended_at is None:
        _end(state, broadcast, outcome, f"{broadcast.label} could be brought to no worker: {worker_id}: {message}")


def _replace(state: State, broadcast: Broadcast, worker_id: WorkerId) -> None:
    broadcast.chosen.discard(worker_id)
    broadcast.missing.discard(worker_id)
    if broadcast.count is not None:
        _fill(state, broadcast, ())
        if len(broadcast.chosen) < broadcast.count:
            broadcast.count = max(1, broadcast.count - 1)
    _tell_if_complete(state, broadcast)


# --- its end ---


def _tell_if_complete(state: State, broadcast: Broadcast) -> None:
    lacking = broadcast.missing or not broadcast.chosen or len(broadcast.chosen) < (broadcast.count or 0)
    if broadcast.ended_at is None and broadcast.object_id is not None and not lacking:
        broadcast.ended_at = state.now
        state.send(broadcast.client, FileSpread(broadcast.request, broadcast.have))
        downloads.forgo(state, state.files.by_id[broadcast.file_id])  # Of its archive, say.
        if not broadcast.for_all:
            _finish(state, broadcast)
            return
        for other in list(state.copies.broadcasts[broadcast.file_id]):
            if other is not broadcast and other.for_all and other.ended_at is not None:
                state.copies.remove(other)  # This one does the same from now on.


def _end(state: State, broadcast: Broadcast, outcome: Outcome, message: str) -> None:
    """It will not come to anything more."""
    if broadcast.ended_at is None and broadcast.client in state.clients:
        clipped = message[: config.text_chars_max]
        state.send(broadcast.client, FileSpread(broadcast.request, 0, outcome, clipped))
    if broadcast.ended_at is not None:
        _finish(state, broadcast)
        return
    state.copies.remove(broadcast)
    file = state.files.by_id.get(broadcast.file_id)
    if file is not None:
        downloads.forgo(state, file)


def _finish(state: State, broadcast: Broadcast) -> None:
    state.copies.remove(broadcast)
    state.copies.ended.append(broadcast)
