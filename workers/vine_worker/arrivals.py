"""How do objects get here, kept, fetched or unpacked, and when do they go?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from vine import config
from vine.names import ObjectId, TransferId
from vine.wire import messages as wire
from vine_worker import actions as act
from vine_worker.attempts import State
from vine_worker.board import Board


class Arrivals:
    """The transfers and unpackings of this worker, and the objects that they end in."""

    def __init__(
        self, board: Board, end_hosts_of: Callable[[ObjectId], None], resumed: Mapping[ObjectId, bool]
    ) -> None:
        self._board = board
        self._inventory = board.inventory
        self._end_hosts_of = end_hosts_of
        self._fetches: dict[TransferId, ObjectId] = {}
        self._abandoned: dict[TransferId, ObjectId] = {}  # stopped, and not ended yet
        self._unpacks: dict[ObjectId, act.StartUnpack] = {}
        self._forever = {object_id for object_id, forever in resumed.items() if forever}  # here or on its way
        for object_id in resumed:
            self._inventory.arrived(object_id)

    def announce(self) -> None:
        """Tells the manager what is here."""
        held = self._inventory.held
        if held:
            self._board.send(wire.ObjectsHeld(tuple(sorted(held)), tuple(sorted(held & self._forever))))

    # --- what the manager wants ---

    def store(self, message: wire.StoreObjects) -> None:
        for item in message.objects:
            self._wanted(item.object_id, item.cache)
            if item.object_id in self._inventory.held:
                self._board.send(wire.ObjectsHeld((item.object_id,)))
            else:
                self._board.actions.append(act.KeepObject(item))

    def _wanted(self, object_id: ObjectId, cache: wire.CacheLevel) -> None:
        self._inventory.wanted_again(object_id)
        if cache is wire.CacheLevel.FOREVER and object_id not in self._inventory.held:
            self._forever.add(object_id)

    def fetch(self, order: wire.FetchObject) -> None:
        self._wanted(order.object_id, order.cache)
        fault = wire.FetchFault.NONE
        if order.object_id not in self._inventory.held:
            if order.object_id not in self._fetches.values():
                self._fetches[order.transfer_id] = order.object_id
                self._board.actions.append(act.StartFetch(order))
                return
            fault = wire.FetchFault.ABANDONED  # Two transfers must not write into one object.
        self._board.send(wire.FetchEnded(order.transfer_id, order.object_id, fault, 0, 0.0))

    def abandon(self, message: wire.AbandonFetch) -> None:
        object_id = self._fetches.pop(message.transfer_id, None)
        if object_id is not None:  # Another transfer may bring it from now on, though this one has not ended yet.
            self._abandoned[message.transfer_id] = object_id
            self._board.actions.append(act.StopFetch(message.transfer_id))

    def claims(self, message: wire.UnpackObject) -> tuple[ObjectId, ...]:
        """What `unpack` is going to use, if it turns out that it must."""
        return () if message.object_id in self._unpacks else (message.archive,)

    def unpack(self, message: wire.UnpackObject) -> None:
        self._wanted(message.object_id, message.cache)
        if message.object_id in self._unpacks:
            return
        if message.object_id in self._inventory.held:
            self._board.unpinned.append(message.archive)
            self._board.send(wire.ObjectsHeld((message.object_id,)))
        else:
            order = act.StartUnpack(message.object_id, message.archive, message.label)
            self._unpacks[message.object_id] = order
            if not self._inventory.use(order, (message.archive,)):
                self._board.actions.append(order)

    def drop(self, message: wire.DropObjects) -> None:
        for object_id in message.object_ids:
            self._end_hosts_of(object_id)
            self._forever.discard(object_id)
            transfers = (*self._fetches.values(), *self._abandoned.values())
            self._board.remove(self._inventory.drop(object_id, object_id in self._unpacks or object_id in transfers))

    def rate(self, message: wire.RateObjects) -> None:
        forever = message.cache is wire.CacheLevel.FOREVER
        # What went meanwhile has been told; what was dropped and comes again will be rated then.
        here = tuple(object_id for object_id in message.object_ids if object_id in self._inventory.held)
        self._rate(here, message.spare, forever)

    def _rate(self, object_ids: tuple[ObjectId, ...], spare: bool, forever: bool) -> None:
        if forever:
            self._forever.update(object_ids)
        else:
            self._forever.difference_update(object_ids)
        if object_ids:
            self._board.actions.append(act.Rate(object_ids, spare, forever))

    # --- what has come of it ---

    def fetch_ended(self, event: wire.FetchEnded) -> None:
        self._fetches.pop(event.transfer_id, None)
        abandoned = self._abandoned.pop(event.transfer_id, None)
        event = msgspec.structs.replace(event, message=event.message[: config.text_chars_max])
        if event.fault is wire.FetchFault.NONE and self._inventory.refused(event.object_id):
            self._board.remove((event.object_id,))
            event = msgspec.structs.replace(event, fault=wire.FetchFault.ABANDONED)
        self._board.send(event)
        if event.fault is wire.FetchFault.NONE:
            self._came(event.object_id)
            if abandoned is not None:  # It was too late to stop, and the manager has struck the transfer off.
                self._board.send(wire.ObjectsHeld((event.object_id,)))

    def kept(self, event: act.Kept) -> None:
        self._made(event.object_id, event.message, event.disk_full)

    def unpacked(self, event: act.Unpacked) -> None:
        order = self._unpacks.pop(event.object_id)
        self._board.unpinned.append(order.archive)
        self._board.remove(self._inventory.release(order, (order.archive,)))
        self._made(event.object_id, event.message, event.disk_full)

    def _made(self, object_id: ObjectId, message: str, disk_full: bool) -> None:
        """Tells the manager of an object that was to be made here."""
        if message:
            self._board.send(wire.ObjectsLost((object_id,), message[: config.text_chars_max], disk_full))
        elif self._inventory.refused(object_id):
            self._board.remove((object_id,))
        else:
            self._board.send(wire.ObjectsHeld((object_id,)))
            self._came(object_id)

    def _came(self, object_id: ObjectId) -> None:
        """What the manager has sent, or had unpacked, can be had again: only from now on may it go."""
        self._rate((object_id,), spare=True, forever=object_id in self._forever)
        self.arrived(object_id)

    def evicted(self, event: act.Evicted) -> None:
        """The store had to make room; of hosts only idle ones can have lost their environment."""
        gone = tuple(object_id for object_id in event.object_ids if object_id in self._inventory.held)
        for object_id in gone:
            self._forever.discard(object_id)
            users = self._inventory.lost(object_id)
            assert not any(user in self._board.attempts for user in users), "what an attempt needs was given up"
            self._end_hosts_of(object_id)
        if gone:
            self._board.send(wire.ObjectsEvicted(gone))

    def arrived(self, object_id: ObjectId) -> None:
        """An object is complete: who waited for it goes on."""
        for user in self._inventory.arrived(object_id):
            if isinstance(user, act.StartUnpack):
                self._board.actions.append(user)
            elif user in self._board.attempts:
                attempt = self._board.attempts[user]
                attempt.missing.discard(object_id)
                if attempt.state is State.STAGING and not attempt.missing:
                    self._board.make_ready(attempt)

    def altered_by_others(self, event: act.Lost) -> None:
        here = tuple(object_id for object_id in event.object_ids if object_id in self._inventory.held)
        if here:
            self.lost(here, "a task of another worker of this host wrote to it")

    def lost(self, object_ids: tuple[ObjectId, ...], message: str) -> None:
        """Objects turned out to be altered: who has not started yet waits for good copies."""
        self._board.send(wire.ObjectsLost(object_ids, message[: config.text_chars_max]))
        for object_id in object_ids:
            self._end_hosts_of(object_id)
            for user in self._inventory.lost(object_id):
                attempt = self._board.attempts.get(user)  # type: ignore[call-overload] # hosts are users too
                if attempt is not None and attempt.state in (State.STAGING, State.READY):
                    attempt.missing.add(object_id)
                    if attempt.state is State.READY:
                        attempt.move(State.STAGING)
