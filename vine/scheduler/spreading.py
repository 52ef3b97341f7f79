"""How does an object of many chunks spread: its forest is told who has and who wants it, and its edges are ordered.

Each worker is a host of its own there: stores are not shared, so every one downloads for itself.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from vine import config
from vine.names import MANAGER, HostId, ObjectId, WorkerId
from vine.scheduler import staging
from vine.scheduler.files import ObjectRecord
from vine.scheduler.settings import Spread
from vine.transfer.forest import Forest
from vine.transfer.trees import Edge

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
        _touch_all(state, object_id, forest.leave(node))
        state.transfers.touch(node, object_id)


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
        _touch_all(state, object_id, _enter(state, known, forest, node, part))


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
    wants = node != MANAGER and state.transfers.is_coming(node, known.object_id)
    return _Part.WANTS if wants else _Part.NONE


def _enter(state: State, known: ObjectRecord, forest: Forest, node: WorkerId, part: _Part) -> list[Edge]:
    """Let the node take this part in the forest."""
    object_id, host = known.object_id, HostId(str(node))
    changes: list[Edge] = []
    before = _Part.NONE
    if node in forest:
        before = _Part.HOLDS if forest.has_all(node) else _Part.WANTS
    shunned = (node, object_id) in state.transfers.shunned
    if before is part:
        return changes
    if part is _Part.NONE or before is _Part.HOLDS:
        changes += forest.leave(node)
    if part is _Part.HOLDS:
        _stop_bringing(state, node, object_id)
        changes += forest.hold(node, host, spared=node == MANAGER)
    elif part is _Part.WANTS:
        changes += forest.join(node, host, state.now)
        if shunned:
            changes += forest.demote(node)  # It has failed somebody: it feeds others only if nobody else can.
    return changes


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
    sources = tuple(edge.parent for edge in forest.sources(node) if edge.parent is not None)
    if len(set(sources)) == 1:
        sources = sources[:1]
    transfer_id = transfers.into.get((node, known.object_id))
    if transfer_id is not None:
        transfer = transfers.active[transfer_id]
        if transfer.sources == sources:
            return
        staging.abandon(state, transfer)
        transfers.want(node, known.object_id)
    if sources:
        staging.cancel_wanting(state, node, known.object_id)
        staging.start(state, known, sources, node, in_forest=True)
