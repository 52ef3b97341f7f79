"""How do objects get here, kept, fetched, unpacked or downloaded, and when do they go?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from vine import config
from vine.names import ObjectId, TransferId
from vine.wire.parts import CacheLevel, FetchFault
from vine.wire.worker_messages import (
    AbandonDownload,
    AbandonFetch,
    ChangeSources,
    DownloadEnded,
    DownloadUrl,
    DropObjects,
    FetchEnded,
    FetchObject,
    ObjectsEvicted,
    ObjectsHeld,
    ObjectsLost,
    RateObjects,
    SourceSlow,
    StoreObjects,
    UnpackObject,
    VerifyObjects,
)
from vine_worker import actions as act
from vine_worker.attempts import State
from vine_worker.board import Board
from vine_worker.unpack_orders import UnpackOrders


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
        self._unpacks = UnpackOrders(board)
        self._downloads: set[TransferId] = set()
        self._disowned: set[TransferId] = set()  # those of which the manager knows nothing
        self._forever = {object_id for object_id, forever in resumed.items() if forever}  # here or on its way
        for object_id in resumed:
            self._inventory.arrived(object_id)

    def announce(self) -> None:
        """Tells the manager what is here."""
        held = self._inventory.held
        if held:
            self._board.send(ObjectsHeld(tuple(sorted(held)), tuple(sorted(held & self._forever))))

    @property
    def forever(self) -> set[ObjectId]:
        """What outlives the worker, here or on its way."""
        return self._forever

    @property
    def downloading(self) -> bool:
        """Whether it does so for all: nobody else has begun."""
        return bool(self._downloads)

    def stop_all(self) -> None:
        """Nobody knows any more of what is on its way here."""
        for transfer_id in list(self._fetches):
            self.abandon(AbandonFetch(transfer_id))
        self._unpacks.drop_all()
        self._board.actions += [act.StopDownload(download_id) for download_id in self._downloads]
        self._disowned |= self._downloads

    # --- what the manager wants ---

    def store(self, message: StoreObjects) -> None:
        for item in message.objects:
            self._wanted(item.object_id, item.cache)
            if item.object_id in self._inventory.held:
                self._board.send(ObjectsHeld((item.object_id,)))
            else:
                self._board.actions.append(act.KeepObject(item))

    def _wanted(self, object_id: ObjectId, cache: CacheLevel) -> None:
        self._inventory.wanted_again(object_id)
        if cache is CacheLevel.FOREVER and object_id not in self._inventory.held:
            self._forever.add(object_id)

    def fetch(self, order: FetchObject) -> None:
        self._wanted(order.object_id, order.cache)
        fault = FetchFault.NONE
        if order.object_id not in self._inventory.held:
            if order.object_id not in self._fetches.values():
                self._fetches[order.transfer_id] = order.object_id
                self._board.actions.append(act.StartFetch(order))
                return
            fault = FetchFault.ABANDONED  # Two transfers must not write into one object.
        self._board.send(FetchEnded(order.transfer_id, order.object_id, fault, 0, 0.0))

    def change_sources(self, message: ChangeSources) -> None:
        if message.transfer_id in self._fetches:  # Else it has ended meanwhile.
            self._board.actions.append(act.ChangeFetch(message))

    def abandon(self, message: AbandonFetch) -> None:
        object_id = self._fetches.pop(message.transfer_id, None)
        if object_id is not None:  # Another transfer may bring it from now on, though this one has not ended yet.
            self._abandoned[message.transfer_id] = object_id
            self._board.actions.append(act.StopFetch(message.transfer_id))

    def claims(self, message: UnpackObject) -> dict[ObjectId, int]:
        """What `unpack` is going to use, if it turns out that it must."""
        return {} if message.object_id in self._unpacks else {message.archive: 1}

    def unpack(self, message: UnpackObject) -> None:
        self._wanted(message.object_id, message.cache)
        if self._unpacks.renew(message.object_id):
            return
        if message.object_id in self._inventory.held:
            self._board.unpinned[(message.archive,)] += 1
            self._board.send(ObjectsHeld((message.object_id,)))
        else:
            self._unpacks.begin(message)

    def download(self, message: DownloadUrl) -> None:
        if message.download_id not in self._downloads:
            self._downloads.add(message.download_id)
            self._board.actions.append(act.StartDownload(message))

    def abandon_download(self, message: AbandonDownload) -> None:
        if message.download_id in self._downloads:
            self._board.actions.append(act.StopDownload(message.download_id))

    def drop(self, message: DropObjects) -> None:
        for object_id in message.object_ids:
            self._end_hosts_of(object_id)
            self._forever.discard(object_id)
            transfers = (*self._fetches.values(), *self._abandoned.values())
            coming = self._unpacks.may_end_well(object_id) or object_id in transfers
            self._board.remove(self._inventory.drop(object_id, coming))
            self._unpacks.drop(object_id)

    def rate(self, message: RateObjects) -> None:
        forever = message.cache is CacheLevel.FOREVER
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

    def verify(self, message: VerifyObjects) -> None:
        # Of what went meanwhile the manager has been told.
        here = [object_id for object_id in message.object_ids if object_id in self._inventory.held]
        self._board.actions += [act.Verify(object_id) for object_id in here]

    # --- what has come of it ---

    def fetch_ended(self, event: FetchEnded) -> None:
        self._fetches.pop(event.transfer_id, None)
        abandoned = self._abandoned.pop(event.transfer_id, None)
        event = msgspec.structs.replace(event, message=event.message[: config.text_chars_max])
        if event.fault is FetchFault.NONE and self._inventory.refused(event.object_id):
            self._board.remove((event.object_id,))
            event = msgspec.structs.replace(event, fault=FetchFault.ABANDONED)
        self._board.send(event)
        if event.fault is FetchFault.NONE:
            self._came(event.object_id)
            if abandoned is not None:  # It was too late to stop, and the manager has struck the transfer off.
                self._board.send(ObjectsHeld((event.object_id,)))

    def source_slow(self, event: SourceSlow) -> None:
        if event.transfer_id in self._fetches:
            self._board.send(event)

    def download_ended(self, event: DownloadEnded) -> None:
        """What came of it stays, though it may have been abandoned, until the manager has heard of it."""
        self._downloads.discard(event.download_id)
        self._board.send(msgspec.structs.replace(event, message=event.message[: config.text_chars_max]))
        if event.object_id is not None:
            self._inventory.wanted_again(event.object_id)
            self.arrived(event.object_id)
            if event.download_id in self._disowned:
                self._board.send(ObjectsHeld((event.object_id,)))
        self._disowned.discard(event.download_id)

    def kept(self, event: act.Kept) -> None:
        self._made(event.object_id, event.message, event.disk_full)

    def arriving(self, event: act.Arriving) -> None:
        self._unpacks.archive_opens(event.object_id)

    def unpacked(self, event: act.Unpacked) -> None:
        if self._unpacks.ended(event):
            self._made(event.object_id, event.message, event.disk_full)

    def stop_unwanted(self) -> None:
        """Ends the unpacking of what was dropped and is not waited for any more."""
        self._unpacks.stop_unwanted()

    def _made(self, object_id: ObjectId, message: str, disk_full: bool) -> None:
        """Tells the manager of an object that was to be made here."""
        if message:
            self._board.send(ObjectsLost((object_id,), message[: config.text_chars_max], disk_full))
        elif self._inventory.refused(object_id):
            self._board.remove((object_id,))
        else:
            self._board.send(ObjectsHeld((object_id,)))
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
            self._board.send(ObjectsEvicted(gone))

    def verified(self, event: act.Verified) -> None:
        if event.object_id not in self._inventory.held:
            return
        if event.good:
            self._board.send(ObjectsHeld((event.object_id,), tuple(self._forever & {event.object_id})))
        else:
            self._forever.discard(event.object_id)
            self.lost((event.object_id,), "its bytes on this disk were not its own any more")

    def arrived(self, object_id: ObjectId) -> None:
        """An object is complete: who waited for it goes on."""
        users = self._inventory.arrived(object_id)
        self._unpacks.archive_came(object_id)
        for user in users:
            attempt = self._board.attempts.get(user)  # type: ignore[call-overload] # unpackings are users too
            if attempt is not None:
                attempt.missing.discard(object_id)
                if attempt.state is State.STAGING and not attempt.missing:
                    self._board.make_ready(attempt)

    def altered_by_others(self, event: act.Lost) -> None:
        here = tuple(object_id for object_id in event.object_ids if object_id in self._inventory.held)
        if here:
            self.lost(here, "a task of another worker of this host wrote to it")

    def lost(self, object_ids: tuple[ObjectId, ...], message: str) -> None:
        """Objects turned out to be altered: who has not started yet waits for good copies."""
        self._board.send(ObjectsLost(object_ids, message[: config.text_chars_max]))
        for object_id in object_ids:
            self._end_hosts_of(object_id)
            for user in self._inventory.lost(object_id):
                attempt = self._board.attempts.get(user)  # type: ignore[call-overload] # hosts are users too
                if attempt is not None and attempt.state in (State.STAGING, State.READY, State.WAITING):
                    attempt.missing.add(object_id)
                    if attempt.state is not State.STAGING:
                        attempt.move(State.STAGING)
