"""How does an object of many chunks spread: its forest is told who has and who wants it, and its edges are ordered.

Of the workers of a host one takes part, for all of them (see mates.py).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from vine import config
from vine.names import MANAGER, ObjectId, WorkerId
from vine.scheduler import mates, staging
from vine.scheduler.files import ObjectRecord
from vine.scheduler.settings import Spread
from vine.scheduler.workers import WorkerRecord
from vine.transfer.forest import Forest
from vine.transfer.trees import Edge
from vine.wire.worker_messages import SourceSlow

if TYPE_CHECKING:
    from vine.scheduler.state import State


class _Part(enum.Enum):
    """What a node is in the spreading of an object."""

    NONE = "none"
    WANTS = "wants"
    HOLDS = "holds"


def settle(state: State) -> None:
    """Bring the forests up to date with what the step has changed, and order the flows that they plan now."""
    transfers = state.transfers
    if not (transfers.dirty or transfers.retrying):
        return
    mates.settle(state)
    for object_id in list(transfers.dirty):
        _update(state, object_id)
    touched = [object_id for object_id in transfers.dirty if object_id in transfers.forests]
    if touched or transfers.retrying:
        _retry(state, touched)
        for object_id in list(transfers.dirty):
            _order_all(state, object_id)
        staging.plan_single(state)  # Forests may have given slots back.
    transfers.dirty.clear()
    transfers.retrying = False


def _retry(state: State, touched: list[ObjectId]) -> None:
    """What one forest gives back may feed those who wait in another."""
    transfers = state.transfers
    for object_id in dict.fromkeys([*transfers.hungry, *touched]):
        transfers.hungry.pop(object_id, None)
        forest = transfers.forests.get(object_id)
        if forest is not None and next(forest.waiting(), None) is not None:
            _touch_all(state, object_id, forest.retry())
            transfers.hungry[object_id] = None


def leave(state: State, node: WorkerId, object_id: ObjectId) -> None:
    """Nobody is to hang on the node in this object's forest any more; it joins anew if it still wants the object."""
    forest = state.transfers.forests.get(object_id)
    if forest is not None and node in forest:
        _leave(state, object_id, forest, node)
        state.transfers.touch(node, object_id)


def _leave(state: State, object_id: ObjectId, forest: Forest, node: WorkerId) -> None:
    _touch_all(state, object_id, forest.leave(node))
    state.transfers.backup_gone(node, object_id)


def source_slow(state: State, worker: WorkerRecord, message: SourceSlow) -> None:
    """A receiver says that a source of its sends too little, or that it is itself too slow to feed others.

    What came too late to be of use is ignored, and so is what does not concern the reporter.
    """
    node, transfer = worker.worker_id, state.transfers.active.get(message.transfer_id)
    if transfer is None or not transfer.in_forest or transfer.destination != node:
        return
    object_id = transfer.object_id
    forest = state.transfers.forests[object_id]
    slow = message.source
    if slow not in (node, *transfer.sources) or slow not in forest or (slow == node and forest.is_slow(node)):
        return
    edges = forest.demote(node) if slow == node else forest.accuse(slow, node, message.silent)
    _touch_all(state, object_id, edges)
    if forest.is_slow(slow):
        state.transfers.backup_gone(slow, object_id)
        state.ranks.was_slow(slow, object_id)
    if forest.is_suspended(slow):
        assert (slow, object_id) in state.transfers.into, f"{slow} is taken for dead, and nothing flows to it"
        state.transfers.touch(slow, object_id)  # Its flow is to stop: who lives answers that.


def answered(state: State, worker_id: WorkerId, object_id: ObjectId) -> None:
    """A worker has ended a flow: if it was taken for dead in that object's forest it is not, and joins anew."""
    forest = state.transfers.forests.get(object_id)
    if forest is not None and worker_id in forest and forest.is_suspended(worker_id):
        leave(state, worker_id, object_id)


def worker_lost(state: State, worker_id: WorkerId) -> None:
    for object_id in state.transfers.forests:
        leave(state, worker_id, object_id)


def dissolve(state: State, object_id: ObjectId) -> None:
    """The object is not spread any more."""
    forest = state.transfers.forests.pop(object_id, None)
    if forest is not None:
        forest.dissolve()
        state.transfers.retrying = True


def _touch_all(state: State, object_id: ObjectId, edges: list[Edge]) -> None:
    for edge in edges:
        state.transfers.touch(edge.child, object_id)


def _update(state: State, object_id: ObjectId) -> None:
    transfers = state.transfers
    known = state.files.objects.get(object_id)
    if known is None or not staging.is_spread(state, known):
        if object_id in transfers.forests:
            _stop_spreading(state, object_id)
        return
    nodes = list(transfers.dirty[object_id])
    forest = transfers.forests.get(object_id)
    if forest is None:
        if not transfers.wanting.get(object_id, {}).keys() - {MANAGER}:
            return
        forest = transfers.forests[object_id] = Forest(transfers.slots, config.forest_generation_s, _stripes(state))
        nodes = [*sorted(known.holders), *(node for node in nodes if node not in known.holders)]
    parts = [(node, _part(state, known, node)) for node in nodes]
    # Who has it first, so that those who come or must move find them.
    parts.sort(key=lambda entry: entry[1] is not _Part.HOLDS)
    for node, part in parts:
        _enter(state, known, forest, node, part)


def _stripes(state: State) -> int:
    """A tree whose nodes feed one child each is a chain."""
    return 1 if state.settings.spread is Spread.CHAIN else config.forest_stripes


def _stop_spreading(state: State, object_id: ObjectId) -> None:
    """Its copies must not be shared any more: what flows between workers begins anew, from the manager."""
    for transfer in list(state.transfers.active.values()):
        if transfer.object_id == object_id and transfer.in_forest:
            staging.abandon(state, transfer)
            state.transfers.want(transfer.destination, object_id)
    dissolve(state, object_id)


def _part(state: State, known: ObjectRecord, node: WorkerId) -> _Part:
    if node in known.holders:
        return _Part.NONE if (node, known.object_id) in state.transfers.shunned else _Part.HOLDS
    transfer_id = state.transfers.into.get((node, known.object_id))
    flows = transfer_id is not None and state.transfers.active[transfer_id].in_forest
    wants = node != MANAGER and node in state.transfers.wanting.get(known.object_id, {})
    return _Part.WANTS if wants or flows else _Part.NONE


def _enter(state: State, known: ObjectRecord, forest: Forest, node: WorkerId, part: _Part) -> None:
    """Let the node take this part in the forest."""
    object_id, rank = known.object_id, state.ranks.rank(node)
    before = _Part.NONE
    if node in forest:
        before = _Part.HOLDS if forest.has_all(node) else _Part.WANTS
    if before is part:
        return
    if part is _Part.NONE or before is _Part.HOLDS:
        _leave(state, object_id, forest, node)
    if part is _Part.HOLDS:
        _stop_bringing(state, node, object_id)
        _touch_all(state, object_id, forest.hold(node, rank=rank, spared=node == MANAGER))
    elif part is _Part.WANTS:
        _touch_all(state, object_id, forest.join(node, state.now, rank))
        if (node, object_id) in state.transfers.shunned or state.workers[node].full_until > state.now:
            # It has failed somebody, or may at any moment: it feeds others only if nobody else can.
            _touch_all(state, object_id, forest.demote(node))


def _stop_bringing(state: State, node: WorkerId, object_id: ObjectId) -> None:
    """The node has the object, though an order that it had got before may still be under way."""
    if node == MANAGER:
        return
    if node in state.transfers.wanting.get(object_id, {}):
        staging.cancel_wanting(state, node, object_id)
    transfer_id = state.transfers.into.get((node, object_id))
    if transfer_id is not None:
        staging.abandon(state, state.transfers.active[transfer_id])


def _order_all(state: State, object_id: ObjectId) -> None:
    if object_id in state.transfers.forests:
        for node in list(state.transfers.dirty[object_id]):
            _order(state, state.files.objects[object_id], node)


def _order(state: State, known: ObjectRecord, node: WorkerId) -> None:
    """Let the flow into the node be what the forest plans, with one order a step however often that has changed."""
    transfers = state.transfers
    forest = transfers.forests[known.object_id]
    if node == MANAGER or node not in forest or forest.has_all(node):
        return
    edges = forest.sources(node)
    sources = tuple(edge.parent for edge in edges if edge.parent is not None)
    backups = tuple(edge.backup for edge in edges)
    transfer_id = transfers.into.get((node, known.object_id))
    if transfer_id is None:
        if sources:
            staging.cancel_wanting(state, node, known.object_id)
            staging.start(state, known, sources, node, in_forest=True, backups=backups)
        return
    transfer = transfers.active[transfer_id]
    if not sources:
        staging.abandon(state, transfer)
        transfers.want(node, known.object_id)
    elif transfer.sources != sources or transfer_id in transfers.unbacked:
        staging.change_sources(state, transfer, sources, backups)
