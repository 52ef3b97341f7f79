"""Which copies of an object may workers give up for room, and which one must stay because there is no other?

An object that the manager has, or can have made again from what it has, is spare on every worker. Of any
other, one holder is the keeper, whose copy is not: so however many give up theirs at once, one is left.
Of an object that is to have several copies, as many holders are keepers, each on a host of its own.
A keeper that is lost or loses its copy is followed by another holder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.names import MANAGER, HostId, ObjectId, WorkerId
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.workers import Terms, WorkerRecord
from vine.wire.parts import CacheLevel, Manifest
from vine.wire.worker_messages import RateObjects, VerifyObjects

if TYPE_CHECKING:
    from vine.scheduler.state import State

_LEVELS = list(CacheLevel)  # the shortest first


def bind(
    state: State,
    file: FileRecord,
    object_id: ObjectId,
    manifest: Manifest | None,
    data: bytes | None = None,
    archive: ObjectId | None = None,
) -> ObjectRecord:
    """Let the file stand for this content; what workers have kept of it for later counts from now on."""
    known = state.files.bind(file, object_id, manifest)
    if known.holders:
        state.placement.copies_came({file.file_id})
    if state.transfers.spreads(object_id) or state.copies.any_wanted:
        state.transfers.touch(MANAGER, object_id)  # The file may forbid to share it.
    known.data = known.data if data is None else data
    known.archive = known.archive if archive is None else archive
    if (level := file.spec.cache) is not known.cache and _LEVELS.index(level) > _LEVELS.index(known.cache):
        known.cache = level
        state.unrated.update(dict.fromkeys((holder, object_id) for holder in sorted(known.holders - {MANAGER})))
    for worker_id in sorted(state.files.unclaimed.pop(object_id, ())) if state.files.unclaimed else ():
        has_copy(state, state.workers[worker_id], known)
    if known.keepers or known.copies > 1:
        appoint(state, known)  # The file brings an origin, or asks for more copies.
    return known


# --- copies come and go ---


def has_copy(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """The worker holds the object, complete and verified; whatever it held before, this copy is good."""
    worker_id, object_id, transfers = worker.worker_id, known.object_id, state.transfers
    worker.holds.add(object_id)
    known.holders.add(worker_id)
    state.placement.copies_came(known.files)
    if transfers.doubted or transfers.shunned:
        _pardon(state, worker, known)
    if known.data is None or transfers.spreads(object_id) or state.copies.any_wanted:
        transfers.want_no_more(worker_id, object_id)  # It may have made what it was to be sent.
    wanted = keepers_wanted(known)
    if wanted:
        hosts = {state.workers[keeper].host_id for keeper in known.keepers}
        if len(hosts) < wanted and worker.host_id not in hosts:
            known.keepers |= {worker_id}
    if worker.told.get(object_id) != _terms(worker, known):
        state.unrated[worker_id, object_id] = None


def _pardon(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """Whatever was said of an earlier copy; what is doubted of this one has to be found out first."""
    copy = (worker.worker_id, known.object_id)
    was_asked = state.transfers.doubted.pop(copy, None)
    if was_asked is False:
        doubt_copy(state, worker, known)  # It has passed on bad chunks while it received it.
        return
    if was_asked:
        state.transfers.verified.add(copy)
    state.transfers.pardon([copy])


def doubt_copy(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """What a shunned source sent was bad: it is no source again before its copy was hashed anew and found good."""
    copy = (worker.worker_id, known.object_id)
    here = known.object_id in worker.holds
    if here and not state.transfers.doubted.get(copy):
        state.tell_worker(worker.worker_id, VerifyObjects((known.object_id,)))
    state.transfers.doubted[copy] = here


def made_copy(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """A task has made it there: the worker keeps it until it hears that it need not."""
    worker.told[known.object_id] = Terms(spare=False, forever=is_kept_for_ever(worker, known.object_id))
    has_copy(state, worker, known)


def lost_copy(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """The worker does not hold it any more, or is gone."""
    worker.holds.discard(known.object_id)
    worker.told.pop(known.object_id, None)
    known.holders.discard(worker.worker_id)
    if state.transfers.doubted:
        state.transfers.doubted.pop((worker.worker_id, known.object_id), None)
    state.transfers.touch(worker.worker_id, known.object_id)
    if worker.worker_id in known.keepers:
        appoint(state, known)


def manager_has(state: State, known: ObjectRecord) -> None:
    known.holders.add(MANAGER)
    state.transfers.touch(MANAGER, known.object_id)
    appoint(state, known)


def manager_has_not(state: State, known: ObjectRecord) -> None:
    known.holders.discard(MANAGER)
    state.transfers.touch(MANAGER, known.object_id)
    appoint(state, known)


def appoint(state: State, known: ObjectRecord) -> None:
    """Let as many holders keep it as must, and no more; those that do already go before others."""
    wanted = keepers_wanted(known)
    keepers: dict[WorkerId, HostId] = {}
    candidates = sorted(known.keepers & known.holders) + sorted(known.holders - known.keepers - {MANAGER})
    for worker_id in candidates if wanted else ():
        host_id = state.workers[worker_id].host_id
        if len(keepers) < wanted and host_id not in keepers.values():
            keepers[worker_id] = host_id
    for worker_id in sorted(known.keepers ^ keepers.keys()):
        state.unrated[worker_id, known.object_id] = None
    known.keepers = frozenset(keepers)


def keepers_wanted(known: ObjectRecord) -> int:
    """On how many hosts it must not be given up, if it is there."""
    return known.copies if known.copies > 1 else 0 if _has_origin(known) else 1


def _has_origin(known: ObjectRecord) -> bool:
    """Whether it can be had though no worker holds it. An unpacked archive is made again from its archive."""
    return known.data is not None or known.archive is not None or MANAGER in known.holders


# --- copies that no file stands for ---


def keep_unclaimed(state: State, worker: WorkerRecord, object_id: ObjectId) -> None:
    """Nobody needs it at present; a file of this content that is declared later finds it there."""
    worker.holds.add(object_id)
    state.files.unclaimed.setdefault(object_id, set()).add(worker.worker_id)
    state.unrated[worker.worker_id, object_id] = None


def lost_unclaimed(state: State, worker: WorkerRecord, object_id: ObjectId) -> None:
    worker.holds.discard(object_id)
    worker.told.pop(object_id, None)
    holders = state.files.unclaimed.get(object_id, set())
    holders.discard(worker.worker_id)
    if not holders:
        state.files.unclaimed.pop(object_id, None)


# --- what workers are told ---


def is_kept_for_ever(worker: WorkerRecord, object_id: ObjectId) -> bool:
    """Whether the worker's copy outlives the run. It still does if a file of that content is to be kept less long."""
    told = worker.told.get(object_id)
    return told is not None and told.forever


def send_terms(worker: WorkerRecord, known: ObjectRecord) -> CacheLevel:
    """The object is being sent to the worker, or made there from what was: it knows of itself that it is spare."""
    worker.told[known.object_id] = Terms(spare=True, forever=known.cache is CacheLevel.FOREVER)
    return known.cache


def _terms(worker: WorkerRecord, known: ObjectRecord) -> Terms:
    """What the worker is to know of its copy."""
    forever = known.cache is CacheLevel.FOREVER or is_kept_for_ever(worker, known.object_id)
    return Terms(worker.worker_id not in known.keepers, forever)


def rate(state: State) -> None:
    """Tell workers of those copies that are worth more or less than they think."""
    news: dict[tuple[WorkerId, Terms], list[ObjectId]] = {}
    for worker_id, object_id in state.unrated:
        worker = state.workers.get(worker_id)
        if worker is None or object_id not in worker.holds:
            continue
        told = worker.told.get(object_id)
        known = state.files.objects.get(object_id)
        terms = Terms(True, is_kept_for_ever(worker, object_id)) if known is None else _terms(worker, known)
        if told != terms:
            worker.told[object_id] = terms
            news.setdefault((worker_id, terms), []).append(object_id)
    state.unrated.clear()
    for (worker_id, terms), object_ids in news.items():
        level = CacheLevel.FOREVER if terms.forever else CacheLevel.WORKFLOW
        state.tell_worker(worker_id, RateObjects(tuple(object_ids), terms.spare, level))
