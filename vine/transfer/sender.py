"""Which wants of its peers does a node serve, when, and which does it refuse?

A flow is a transfer out of this node; it holds one of few slots from its first want until its
receiver says the end, or nothing at all for `edge_silence_s` (a live receiver that lacks chunks
repeats its wants more often than that). One that was not planned, for which this node is but a backup,
has the slot only until somebody wants it for whom it was planned. Any one loses its slot to another that
needs it if its receiver, which was sent what it wanted, is silent for far longer than it used to be: it is
dead or fed by others, and who takes its place need not wait until that is certain. Wants for chunks that are still on
their way here are kept: that is what makes a line of nodes a pipeline.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from vine import config
from vine.names import ObjectId, TransferId
from vine.wire.data import RefusalReason, Want
from vine.wire.parts import Role


@dataclass(frozen=True, slots=True)
class SendChunk:
    """Send this chunk, unless it has been cancelled by then; answer with `sent`.

    Of its stripe all chunks below `have` are here; None: the whole object.
    """

    transfer_id: TransferId
    object_id: ObjectId
    index: int
    have: int | None
    reply_to: str
    reply_role: Role
    edge: int = 0


@dataclass(frozen=True, slots=True)
class SendRefusal:
    """Tell the receiver that this transfer is not served, and what is here of the stripe of this chunk."""

    transfer_id: TransferId
    edge: int
    reason: RefusalReason
    reply_to: str
    reply_role: Role
    index: int = 0
    have: int | None = 0


Action = SendChunk | SendRefusal


class _Slot(enum.Enum):
    LARGE = "large"  # one of the cap's
    SMALL = "small"  # one kept free for objects of a few chunks


@dataclass(slots=True)
class _Object:
    chunk_count: int
    present: set[int] | None  # None: all of them
    below: dict[tuple[int, int], int] = field(default_factory=dict)  # of a stripe all chunks below this are here

    def has(self, index: int) -> bool:
        return self.present is None or index in self.present

    def have(self, index: int, stripes: int) -> int | None:
        """Up to where the stripe of this chunk is here without a gap."""
        if self.present is None:
            return None
        stripe = stripes, index % stripes
        below = self.below.get(stripe, index % stripes)
        while below in self.present:
            below += stripes
        self.below[stripe] = below
        return below


@dataclass(slots=True)
class _Flow:
    want: Want  # the last one
    slot: _Slot
    heard_at: float
    interval_s: float | None = None  # between two of its wants, as a moving mean
    given: int = 0  # chunks given out since the last one
    waiting: dict[int, None] = field(default_factory=dict)  # wanted and not yet here, in the order of wants
    sending: set[int] = field(default_factory=set)  # given out by `SendChunk`
    cancelled: set[int] = field(default_factory=set)  # ... and not wanted any more

    def heard(self, want: Want, now: float) -> None:
        """It wants more, or says again what it wants."""
        gap_s = now - self.heard_at
        self.interval_s = gap_s if self.interval_s is None else self.interval_s + (gap_s - self.interval_s) / 4
        self.want, self.heard_at, self.given = want, now, 0
        self.cancelled.difference_update(want.chunks)

    def is_stale(self, for_backup: bool, now: float) -> bool:
        """Whether it is silent for so long that somebody else may have its slot.

        Who was sent nothing has no reason to speak, and yields only to one that is planned.
        """
        if self.interval_s is None or (for_backup and self.given < len(self.want.chunks)):
            return False
        return now >= self.heard_at + max(config.flow_stale_s, config.flow_stale_intervals * self.interval_s)

    def drop(self, chunks: Iterable[int]) -> None:
        for index in chunks:
            self.waiting.pop(index, None)
            if index in self.sending:
                self.cancelled.add(index)


@dataclass(slots=True)
class _Parked:
    want: Want
    since: float
    chunks: dict[int, None]

    def drop(self, chunks: Iterable[int]) -> None:
        for index in chunks:
            self.chunks.pop(index, None)


class Sender:
    """All transfers out of one node."""

    def __init__(self, transfers_max: int, small_transfers: int = 0) -> None:
        self._slots = {_Slot.LARGE: transfers_max, _Slot.SMALL: small_transfers}
        self._objects: dict[ObjectId, _Object] = {}
        self._changed: set[ObjectId] = set()
        self._flows: dict[TransferId, _Flow] = {}
        self._parked: dict[TransferId, _Parked] = {}
        self.flows_max = 0  # the most that there ever were at once
        self.unauthorised = 0
        self.refused = 0  # wants that were not served: busy, unknown, changed
        self.excessive = 0  # chunks wanted beyond the credit or the object's end

    def flows(self) -> int:
        return len(self._flows)

    def knows(self, object_id: ObjectId) -> bool:
        return object_id in self._objects or object_id in self._changed

    def set_transfers_max(self, transfers_max: int) -> None:
        """Takes effect on the next want; flows that run are not cut off."""
        self._slots[_Slot.LARGE] = transfers_max

    # --- what is here ---

    def receiving(self, object_id: ObjectId, chunk_count: int, present: Iterable[int], now: float) -> list[Action]:
        """This object is on its way here."""
        held = self._objects.get(object_id)
        if held is not None and held.present is None:
            return []
        here = set(present) if held is None or held.present is None else held.present.union(present)
        return self._hold(object_id, _Object(chunk_count, here), now)

    def available(self, object_id: ObjectId, index: int) -> list[Action]:
        """One more chunk of an object on its way here is stored."""
        held = self._objects.get(object_id)
        if held is None or held.present is None:
            return []
        held.present.add(index)
        actions: list[Action] = []
        for flow in self._flows.values():
            if flow.want.object_id == object_id and index in flow.waiting:
                del flow.waiting[index]
                actions.append(self._send(flow, held, index))
        return actions

    def complete(self, object_id: ObjectId, chunk_count: int, now: float) -> list[Action]:
        """All of this object is here."""
        return self._hold(object_id, _Object(chunk_count, None), now)

    def gone(self, object_id: ObjectId, reason: RefusalReason = RefusalReason.UNKNOWN) -> list[Action]:
        """This object is here no more. One that has CHANGED is refused until it is gone or complete again."""
        self._objects.pop(object_id, None)
        self._changed.discard(object_id)
        if reason is RefusalReason.CHANGED:
            self._changed.add(object_id)
        ended = [flow for flow in self._flows.values() if flow.want.object_id == object_id]
        for flow in ended:
            del self._flows[flow.want.transfer_id]
        return [self._refusal(flow.want, reason) for flow in ended]

    # --- what peers say ---

    def want(self, want: Want, authorised: bool, now: float) -> list[Action]:
        if not authorised:
            self.unauthorised += 1
            return []
        flow = self._flows.get(want.transfer_id)
        if flow is not None:
            flow.heard(want, now)
            return self._serve(flow, want.chunks)
        if want.object_id in self._changed:
            return [self._refusal(want, RefusalReason.CHANGED)]
        if want.object_id not in self._objects:
            return self._park(want, now)
        return self._admit(want, want.chunks, now)

    def cancel(self, transfer_id: TransferId, token: bytes, chunks: Iterable[int]) -> None:
        """The receiver has these from elsewhere: what has not left need not."""
        for held in (self._flows, self._parked):
            entry = held.get(transfer_id)
            if entry is not None and self._is_of(entry, token):
                entry.drop(chunks)

    def end(self, transfer_id: TransferId, token: bytes) -> None:
        """The receiver wants nothing more; the token tells that it is the one that wanted."""
        for held in (self._flows, self._parked):
            entry = held.get(transfer_id)
            if entry is not None and self._is_of(entry, token):
                del held[transfer_id]

    def _is_of(self, entry: _Flow | _Parked, token: bytes) -> bool:
        rightful = hmac.compare_digest(entry.want.token, token)
        self.unauthorised += not rightful
        return rightful

    # --- what the driver says ---

    def is_wanted(self, transfer_id: TransferId, index: int) -> bool:
        """Whether a chunk given out by `SendChunk` is still to be sent."""
        flow = self._flows.get(transfer_id)
        return flow is not None and index in flow.sending and index not in flow.cancelled

    def sent(self, transfer_id: TransferId, index: int) -> None:
        """The chunk given out by `SendChunk` has left, or was not wanted: a want for it is from now on a new one."""
        flow = self._flows.get(transfer_id)
        if flow is not None:
            flow.sending.discard(index)
            flow.cancelled.discard(index)

    def unreachable(self, reply_to: str) -> None:
        """No connection to this receiver could be made, or none could be made again."""
        for transfer_id in [key for key, flow in self._flows.items() if flow.want.reply_to == reply_to]:
            del self._flows[transfer_id]

    def tick(self, now: float) -> list[Action]:
        for flow in [flow for flow in self._flows.values() if now >= flow.heard_at + config.edge_silence_s]:
            del self._flows[flow.want.transfer_id]
        late = [parked for parked in self._parked.values() if now >= parked.since + config.edge_silence_s]
        for parked in late:
            del self._parked[parked.want.transfer_id]
        return [self._refusal(parked.want, RefusalReason.UNKNOWN) for parked in late]

    def next_deadline(self) -> float | None:
        waiting = [flow.heard_at for flow in self._flows.values()]
        waiting += [parked.since for parked in self._parked.values()]
        return min(waiting) + config.edge_silence_s if waiting else None

    def _hold(self, object_id: ObjectId, held: _Object, now: float) -> list[Action]:
        self._objects[object_id] = held
        self._changed.discard(object_id)
        actions: list[Action] = []
        for flow in self._flows.values():
            if flow.want.object_id == object_id:
                actions += self._serve(flow, list(flow.waiting))
        for parked in [parked for parked in self._parked.values() if parked.want.object_id == object_id]:
            del self._parked[parked.want.transfer_id]
            actions += self._admit(parked.want, parked.chunks, now)
        return actions

    def _park(self, want: Want, now: float) -> list[Action]:
        """Keep a want for an object that nobody here has heard of: the order to pull it may be on its way."""
        parked = self._parked.get(want.transfer_id)
        if parked is None:
            if len(self._parked) >= config.wants_parked_max:
                return [self._refusal(want, RefusalReason.BUSY)]
            parked = self._parked[want.transfer_id] = _Parked(want, now, {})
        for index in want.chunks:
            if len(parked.chunks) < config.credit_chunks_max:
                parked.chunks[index] = None
        return []

    def _admit(self, want: Want, chunks: Iterable[int], now: float) -> list[Action]:
        slots = _slots_for(self._objects[want.object_id])
        actions: list[Action] = []
        slot = self._free_slot(slots)
        if slot is None:
            actions, slot = self._displace(want, slots, now)
        if slot is None:
            return [self._refusal(want, RefusalReason.BUSY)]
        flow = self._flows[want.transfer_id] = _Flow(want, slot, now)
        self.flows_max = max(self.flows_max, len(self._flows))
        return actions + self._serve(flow, chunks)

    def _free_slot(self, slots: Iterable[_Slot]) -> _Slot | None:
        return next((slot for slot in slots if self._used(slot) < self._slots[slot]), None)

    def _displace(self, want: Want, slots: Iterable[_Slot], now: float) -> tuple[list[Action], _Slot | None]:
        """End the oldest flow that was not planned if this want was; else the one of the stale that is silent longest.

        One that was taken for stale and is not asks again soon, and then another is the most silent.
        """
        # A cap that was lowered meanwhile may be exceeded by what runs: then no slot comes free by this.
        flows = [flow for flow in self._flows.values() if flow.slot in slots and self._fits(flow.slot)]
        unplanned = next((flow for flow in flows if flow.want.backup and not want.backup), None)
        stale = min(
            (flow for flow in flows if flow.is_stale(want.backup, now)), key=lambda flow: flow.heard_at, default=None
        )
        flow = unplanned or stale
        if flow is None:
            return [], None
        del self._flows[flow.want.transfer_id]
        return [self._refusal(flow.want, RefusalReason.BUSY)], flow.slot

    def _fits(self, slot: _Slot) -> bool:
        return self._used(slot) <= self._slots[slot]

    def _used(self, slot: _Slot) -> int:
        return sum(flow.slot is slot for flow in self._flows.values())

    def _serve(self, flow: _Flow, chunks: Iterable[int]) -> list[Action]:
        held = self._objects[flow.want.object_id]
        actions: list[Action] = []
        for index in chunks:
            if index in flow.sending:
                continue  # Wanted again before it could leave.
            if index >= held.chunk_count:
                self.excessive += 1
            elif held.has(index):
                flow.waiting.pop(index, None)
                if len(flow.sending) + len(flow.waiting) < config.credit_chunks_max:
                    actions.append(self._send(flow, held, index))
                else:
                    self.excessive += 1
            elif index in flow.waiting or len(flow.sending) + len(flow.waiting) < config.credit_chunks_max:
                flow.waiting[index] = None
            else:
                self.excessive += 1
        return actions

    def _send(self, flow: _Flow, held: _Object, index: int) -> SendChunk:
        flow.sending.add(index)
        flow.given += 1
        want = flow.want
        have = held.have(index, want.stripes)
        return SendChunk(want.transfer_id, want.object_id, index, have, want.reply_to, want.reply_role, want.edge)

    def _refusal(self, want: Want, reason: RefusalReason) -> SendRefusal:
        self.refused += 1
        held, index = self._objects.get(want.object_id), want.chunks[0]
        have = 0 if held is None else held.have(index, want.stripes)
        return SendRefusal(want.transfer_id, want.edge, reason, want.reply_to, want.reply_role, index, have)


def _slots_for(held: _Object) -> tuple[_Slot, ...]:
    small = held.chunk_count < config.small_object_chunks
    return (_Slot.SMALL, _Slot.LARGE) if small else (_Slot.LARGE,)
