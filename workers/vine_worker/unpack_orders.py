"""Which archives are to be unpacked here, and when does an unpacking begin, go on or end?"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vine import config
from vine.names import ObjectId
from vine.wire.worker_messages import UnpackObject
from vine_worker import actions as act
from vine_worker.board import Board


class Phase(enum.Enum):
    WAITING = "waiting"  # for its archive
    RUNNING = "running"
    STOPPING = "stopping"  # it was told to, and has not ended yet


@dataclass(slots=True, eq=False)
class Order:
    """The user of an archive, from the order to unpack it until the folder is there or nobody wants it."""

    object_id: ObjectId
    archive: ObjectId
    label: str
    phase: Phase = Phase.WAITING
    ahead: bool = False  # it runs, and its archive is not complete
    wanted: bool = True
    opened_again: bool = False  # its archive began to arrive anew since it began


class UnpackOrders:
    """The orders to unpack.

    One begins as soon as chunks of its archive can come, if not too many others wait for theirs, and goes on
    with whatever transfer brings the rest. It begins anew only if what had come was discarded.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._inventory = board.inventory
        self._orders: dict[ObjectId, Order] = {}
        self._arriving: set[ObjectId] = set()  # what can be read while it comes
        self._unwanted: set[ObjectId] = set()  # dropped, but attempts have not let go of them yet

    def __contains__(self, object_id: ObjectId) -> bool:
        return object_id in self._orders

    def may_end_well(self, object_id: ObjectId) -> bool:
        """Whether the object may come of what runs now."""
        order = self._orders.get(object_id)
        return order is not None and order.phase is not Phase.WAITING

    # --- what the manager wants ---

    def renew(self, object_id: ObjectId) -> bool:
        """Whether it is being made already, and so goes on; one that is being stopped will begin again."""
        order = self._orders.get(object_id)
        if order is None:
            return False
        order.wanted = True
        self._unwanted.discard(object_id)
        return True

    def begin(self, message: UnpackObject) -> None:
        order = self._orders[message.object_id] = Order(message.object_id, message.archive, message.label)
        self._inventory.use(order, (order.archive,))
        self._start_if_possible(order)

    def drop(self, object_id: ObjectId) -> None:
        """It is to go: at once, or when no attempt waits for it any more."""
        if object_id in self._orders:
            self._unwanted.add(object_id)
            self.stop_unwanted()
        if not any(order.archive == object_id for order in self._orders.values()):
            self._arriving.discard(object_id)

    def drop_all(self) -> None:
        for object_id in list(self._orders):
            self.drop(object_id)

    def stop_unwanted(self) -> None:
        """Ends what nobody waits for."""
        for object_id in [object_id for object_id in self._unwanted if not self._inventory.users(object_id)]:
            self._unwanted.remove(object_id)
            order = self._orders[object_id]
            order.wanted = False
            if order.phase is Phase.WAITING:
                self._forget(order)
            elif order.phase is Phase.RUNNING:
                order.phase, order.ahead = Phase.STOPPING, False
                self._board.actions.append(act.StopUnpack(object_id))

    # --- what becomes of archives ---

    def archive_opens(self, archive: ObjectId) -> None:
        """Its chunks can be read from now on, as they come."""
        self._arriving.add(archive)
        for order in self._orders.values():
            order.opened_again |= order.archive == archive
        self._start_waiting()

    def archive_came(self, archive: ObjectId) -> None:
        self._arriving.discard(archive)
        for order in self._orders.values():
            if order.archive == archive and order.ahead:
                order.ahead = False
                self._board.actions.append(act.ArchiveCame(order.object_id))
        self._start_waiting()

    def _start_waiting(self) -> None:
        for order in self._orders.values():
            if order.phase is Phase.WAITING:
                self._start_if_possible(order)

    def _start_if_possible(self, order: Order) -> None:
        if order.archive in self._inventory.held:
            order.ahead = False
        elif order.archive in self._arriving and self._running_ahead() < config.unpackings_ahead_max:
            order.ahead = True
        else:
            return
        order.phase, order.opened_again = Phase.RUNNING, False
        self._board.actions.append(act.StartUnpack(order.object_id, order.archive, order.label, order.ahead))

    def _running_ahead(self) -> int:
        return sum(order.ahead for order in self._orders.values())

    # --- how they end ---

    def ended(self, event: act.Unpacked) -> bool:
        """Whether the order is done with, well or not; else it was cut, and begins again if it is still wanted."""
        order = self._orders[event.object_id]
        stopped = order.phase is Phase.STOPPING
        if event.cut and order.wanted:
            if not (stopped or order.opened_again):
                self._arriving.discard(order.archive)
            order.phase, order.ahead = Phase.WAITING, False
            self._start_if_possible(order)
            return False
        self._forget(order)
        return order.wanted or not (event.cut or event.message)

    def _forget(self, order: Order) -> None:
        del self._orders[order.object_id]
        self._unwanted.discard(order.object_id)
        self._board.unpinned[(order.archive,)] += 1
        removable = self._inventory.release(order, (order.archive,))
        self._arriving.difference_update(removable)
        self._board.remove(removable)
        self._start_waiting()  # It may have left a place among those that wait for bytes.
