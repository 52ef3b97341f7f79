"""How do objects get to where tasks need them: who is to have what, and from whom it flows."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from vine import config
from vine.names import MANAGER, ObjectId, WorkerId
from vine.scheduler import collecting, keeping, mates
from vine.scheduler.actions import AbandonLocal, Fetch
from vine.scheduler.files import ObjectRecord
from vine.scheduler.flows import Transfer
from vine.scheduler.settings import Spread
from vine.scheduler.workers import WorkerRecord
from vine.transfer import tokens
from vine.transfer.plan import Candidate, choose_source
from vine.wire.parts import InlineObject, Role, SourceEdge
from vine.wire.worker_messages import AbandonFetch, ChangeSources, DropObjects, FetchObject, StoreObjects, UnpackObject

if TYPE_CHECKING:
    from vine.scheduler.state import State

_MANAGER = frozenset({MANAGER})


def need(state: State, worker_id: WorkerId, known: ObjectRecord) -> None:
    """See to it that the worker gets the object, unless it has it or it is on its way."""
    worker = state.workers[worker_id]
    if known.object_id in worker.holds:
        return
    if known.archive is not None:
        need(state, worker_id, state.files.objects[known.archive])
    if comes(state, worker, known.object_id):
        return
    if known.data is not None:
        state.transfers.make(worker, known.object_id)
        level = keeping.send_terms(worker, known)
        state.tell_worker(worker_id, StoreObjects((InlineObject(known.object_id, known.data, level),)))
    else:
        bring(state, worker, known)


def comes(state: State, worker: WorkerRecord, object_id: ObjectId) -> bool:
    """Whether the worker is about to have the object, by itself or through another one of its host."""
    on_its_way = object_id in worker.making or object_id in worker.awaits
    return on_its_way or state.transfers.is_coming(worker.worker_id, object_id)


def places(state: State, known: ObjectRecord) -> list[WorkerId]:
    """The workers that have the object or are about to, in a stable order."""
    transfers, object_id = state.transfers, known.object_id
    near = known.holders - _MANAGER
    if (makers := transfers.makers.get(object_id)) is not None:
        near |= makers
    if transfers.spreads(object_id):
        near |= transfers.coming_to(object_id)
        near |= {mate for waiting in transfers.mates.get(object_id, {}).values() for mate in waiting}
        near -= _MANAGER
    return sorted(near)


def products_in_making(state: State, worker: WorkerRecord, archive: ObjectRecord) -> list[ObjectRecord]:
    """What the worker is about to unpack from the archive, in a stable order."""
    made = [state.files.objects.get(object_id) for object_id in sorted(worker.making)]
    return [each for each in made if each is not None and each.archive == archive.object_id]


def bring(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """Let the object come to the worker, be it through another one of its host."""
    if mates.bringer(state, worker, known) is not None:
        mates.wait(state, worker, known)
    else:
        begin(state, worker, known)


def begin(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """Let the worker pull or unpack the object itself."""
    if known.archive is not None:
        state.transfers.make(worker, known.object_id)
        level = keeping.send_terms(worker, known)
        state.tell_worker(worker.worker_id, UnpackObject(known.object_id, known.archive, known.label, level))
    else:
        state.transfers.want(worker.worker_id, known.object_id)
        plan_object(state, known.object_id)


def bring_to_manager(state: State, known: ObjectRecord, destination: str) -> None:
    """See to it that the manager gets the object at this path."""
    if not state.transfers.is_coming(MANAGER, known.object_id):
        state.transfers.want(MANAGER, known.object_id, destination)
        plan_object(state, known.object_id)


def plan_object(state: State, object_id: ObjectId) -> None:
    """Start every wanted flow of the object for which a source has a free slot; a forest's at the end of the step."""
    wanting = state.transfers.wanting.get(object_id)
    known = state.files.objects.get(object_id)
    if not wanting or known is None or known.manifest is None:
        return
    if goes_by_manager(state, known) and known.holders and not wanting.keys() <= {MANAGER}:
        bring_to_manager(state, known, collecting.bring_path(state, known))
    for node in [MANAGER] if is_spread(state, known) else list(wanting):
        if node not in wanting:
            continue
        source = _source_for(state, known, node)
        if source is None:
            _note_what_it_waits_for(state, known, node)
            continue
        start(state, known, (source,), node, wanting.pop(node))
    if not wanting:
        del state.transfers.wanting[object_id]


def plan_all(state: State) -> None:
    """A slot or a holder has appeared: see who can use it."""
    if not (state.transfers.wanting or state.transfers.hungry):
        return
    state.transfers.retrying = True
    plan_single(state)


def plan_single(state: State) -> None:
    """Start wanted flows of objects without a forest: those that may have come to be possible since the last look."""
    transfers = state.transfers
    freed, transfers.slots.freed = transfers.slots.freed, {}
    for source in freed:
        if source in transfers.starved:
            _plan_some(state, transfers.starved[source], functools.partial(_has_slots, state, source))
            if not transfers.starved[source]:
                del transfers.starved[source]
    _plan_some(state, transfers.unpulled, lambda: _manager_may_pull(state))
    ripe, transfers.ripe = transfers.ripe, {}
    for object_id in ripe:
        plan_object(state, object_id)


def silent_holders(state: State, known: ObjectRecord) -> set[WorkerId]:
    """Who has the object, and is asked for it only if nobody else has it."""
    return {holder for holder in known.holders if holder in state.workers and state.workers[holder].silent}


def look_past(state: State, workers: Iterable[WorkerRecord]) -> None:
    """Whoever may be about to wait for these as sources is looked at anew: they have fallen silent, or speak again."""
    state.transfers.slots.freed.update({w.worker_id: None for w in workers if w.worker_id in state.transfers.starved})
    plan_all(state)


def _plan_some(state: State, waiting: OrderedDict[ObjectId, None], possible: Callable[[], bool]) -> None:
    """Plan what waits, the longest first, while that is possible; what has to wait again comes to the end."""
    for _ in range(len(waiting)):
        if not possible():
            return
        plan_object(state, waiting.popitem(last=False)[0])


def _note_what_it_waits_for(state: State, known: ObjectRecord, node: WorkerId) -> None:
    transfers = state.transfers
    if node == MANAGER and not _manager_may_pull(state):
        transfers.unpulled[known.object_id] = None
        return
    for source in sorted(known.holders | transfers.receiving.get(known.object_id, {}).keys()):
        transfers.starved.setdefault(source, OrderedDict())[known.object_id] = None


def is_spread(state: State, known: ObjectRecord) -> bool:
    """Whether workers get this object through a forest."""
    large = known.manifest is not None and not known.is_small and not known.relayed
    return large and state.settings.spread in (Spread.FOREST, Spread.CHAIN) and known.peer_transfer


def is_shared(state: State, known: ObjectRecord) -> bool:
    """Whether workers may have the object of each other."""
    return state.settings.spread is not Spread.ONE_SOURCE and known.peer_transfer


def goes_by_manager(state: State, known: ObjectRecord) -> bool:
    """Whether those who want it must not have it of workers, or cannot: the manager fetches and serves it."""
    if MANAGER in known.holders:
        return False
    return not known.peer_transfer or not known.relayed.isdisjoint(state.transfers.wanting.get(known.object_id, ()))


def _manager_may_pull(state: State) -> bool:
    return state.transfers.pulls < config.manager_pulls_max


def _source_for(state: State, known: ObjectRecord, node: WorkerId) -> WorkerId | None:
    if node == MANAGER and not _manager_may_pull(state):
        return None
    receivers = state.transfers.receiving.get(known.object_id, {})
    if is_spread(state, known) or state.settings.spread is Spread.WHOLE_FILE:
        receivers = {}  # Of a forest only who has it all has slots for others.
    sources_of = {receiver: state.transfers.active[t].sources for receiver, t in receivers.items()}
    candidates = [
        Candidate(source, complete=True, depth=0, free_slots=_free_slots(state, known, source))
        for source in known.holders
        if source != node and _may_serve(state, known, source, node)
    ]
    candidates += [
        Candidate(source, complete=False, depth=depth, free_slots=_free_slots(state, known, source))
        for source, depth in _depths(sources_of)
        if source not in (node, MANAGER) and _may_serve(state, known, source, node)
    ]
    silent = silent_holders(state, known)
    if all(candidate.node in silent for candidate in candidates):
        silent = set()  # Better than nobody.
    chosen = choose_source(known.object_id, node, candidates, sources_of, silent)
    return None if chosen is None else chosen.node


def _depths(sources_of: Mapping[WorkerId, tuple[WorkerId, ...]]) -> Iterator[tuple[WorkerId, int]]:
    """How many edges each receiver is from a complete holder."""
    for receiver in sources_of:
        depth, node = 0, receiver
        while node in sources_of:
            depth, node = depth + 1, sources_of[node][0]
        yield receiver, depth


def _may_serve(state: State, known: ObjectRecord, source: WorkerId, node: WorkerId) -> bool:
    if source == MANAGER:
        return True
    if (source, known.object_id) in state.transfers.shunned or node in known.relayed:
        return False
    return node == MANAGER or is_shared(state, known) or (known.peer_transfer and MANAGER not in known.holders)


def _has_slots(state: State, source: WorkerId) -> bool:
    extra = config.manager_small_transfers if source == MANAGER else 0
    return state.transfers.slots.free(source) + extra > 0


def _free_slots(state: State, known: ObjectRecord, source: WorkerId) -> int:
    extra = config.manager_small_transfers if source == MANAGER and known.is_small else 0
    return state.transfers.slots.free(source) + extra


def start(
    state: State,
    known: ObjectRecord,
    sources: tuple[WorkerId, ...],
    node: WorkerId,
    destination: str | None = None,
    in_forest: bool = False,
    backups: tuple[WorkerId | None, ...] = (),
    within_host: bool = False,
) -> None:
    """Order the flow."""
    assert known.manifest is not None
    transfer = Transfer(
        state.next_transfer(), known.object_id, sources, node, state.now, known.manifest.size, destination, in_forest,
        backups, within_host=within_host,
    )  # fmt: skip
    state.transfers.add(transfer)
    edges, seconds = _edges(state, transfer)
    patience = state.settings.source_patience
    if node == MANAGER:
        assert destination is not None
        order = FetchObject(transfer.transfer_id, known.object_id, known.manifest, edges, patience=patience)
        state.do(Fetch(order, destination))
    else:
        level = keeping.send_terms(state.workers[node], known)
        order = FetchObject(transfer.transfer_id, known.object_id, known.manifest, edges, level, seconds, patience)
        state.tell_worker(node, order)


def change_sources(
    state: State, transfer: Transfer, sources: tuple[WorkerId, ...], backups: tuple[WorkerId | None, ...]
) -> None:
    """Let a flow that runs come from these; it is the receiver that knows what is still to come."""
    changed = state.transfers.change(transfer, sources, backups)
    state.tell_worker(transfer.destination, ChangeSources(transfer.transfer_id, *_edges(state, changed)))


def _edges(state: State, transfer: Transfer) -> tuple[tuple[SourceEdge, ...], tuple[SourceEdge | None, ...]]:
    """How the receiver finds its sources and backups, and proves to each of them that it may ask."""
    named = dict.fromkeys((*transfer.sources, *transfer.backups))
    edges = {node: _edge(state, transfer, node) for node in named if node is not None}
    backups = tuple(None if backup is None else edges[backup] for backup in transfer.backups)
    return tuple(edges[source] for source in transfer.sources), backups


def _edge(state: State, transfer: Transfer, source: WorkerId) -> SourceEdge:
    settings, node = state.settings, transfer.destination
    reply_to = settings.chunks_endpoint if node == MANAGER else state.workers[node].hello.chunks_endpoint
    endpoint = settings.requests_endpoint if source == MANAGER else state.workers[source].hello.requests_endpoint
    key = tokens.source_key(settings.run_secret, source)
    token = tokens.mint(key, transfer.transfer_id, transfer.object_id, reply_to)
    whole = source in state.files.objects[transfer.object_id].holders
    return SourceEdge(source, Role.SERVER if source == MANAGER else Role.WORKER, endpoint, token, whole)


def cancel_wanting(state: State, node: WorkerId, object_id: ObjectId) -> str | None:
    """Nobody needs the object there any more; returns the manager's destination path, if it was one."""
    return state.transfers.want_no_more(node, object_id)


def abandon(state: State, transfer: Transfer, for_good: bool = False) -> None:
    """Stop a flow whose end nobody waits for any more, or whose source is gone.

    What has come of it is kept for the next flow, unless it is `for_good`: that would take up room.
    """
    state.transfers.remove(transfer)
    if transfer.destination == MANAGER:
        state.do(AbandonLocal(transfer.transfer_id))
    else:
        state.tell_worker(transfer.destination, AbandonFetch(transfer.transfer_id))
        if for_good:
            state.tell_worker(transfer.destination, DropObjects((transfer.object_id,)))


def stop_bringing(state: State, worker_id: WorkerId, object_id: ObjectId) -> None:
    """Nothing on the worker needs the object any more: give back the room that is held for it."""
    cancel_wanting(state, worker_id, object_id)
    transfer_id = state.transfers.into.get((worker_id, object_id))
    if transfer_id is not None:
        abandon(state, state.transfers.active[transfer_id])
    state.transfers.make_no_more(state.workers[worker_id], object_id)
    mates.wait_no_more(state, state.workers[worker_id], object_id)
    state.tell_worker(worker_id, DropObjects((object_id,)))
