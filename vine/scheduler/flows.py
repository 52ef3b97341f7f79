"""Which flows are planned, which objects are wanted where, and who counts as a source of what?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from vine.names import MANAGER, ObjectId, TransferId, WorkerId
from vine.transfer.forest import Forest
from vine.transfer.trees import Slots


@dataclass(frozen=True, slots=True)
class Transfer:
    """A flow that was planned and has not ended."""

    transfer_id: TransferId
    object_id: ObjectId
    sources: tuple[WorkerId, ...]  # chunk j comes from source j mod their number; one may stand there twice
    destination: WorkerId
    began_at: float
    size_bytes: int
    path: str | None  # where it comes to, in a flow to the manager
    in_forest: bool = False  # The forest has taken its sources' slots, and gives them back.


class Transfers:
    """All flows of the run, and those that wait for a source with a free slot.

    Whatever may change a node's part in the spreading of an object makes it `dirty`: the forests are
    brought up to date once a step (see spreading.py).
    """

    def __init__(self, transfers_max: int) -> None:
        self.active: dict[TransferId, Transfer] = {}
        self.into: dict[tuple[WorkerId, ObjectId], TransferId] = {}
        self.receiving: dict[ObjectId, dict[WorkerId, TransferId]] = {}
        self.wanting: dict[ObjectId, dict[WorkerId, str | None]] = {}  # value: the manager's destination path
        self.slots = Slots(transfers_max)
        self.forests: dict[ObjectId, Forest] = {}
        self.dirty: dict[ObjectId, dict[WorkerId, None]] = {}
        self.hungry: dict[ObjectId, None] = {}  # whose forests could not feed all who want it
        self.retrying = False  # slots or holders may have appeared in this step
        self.pulls = 0  # flows into the manager
        self.failures: Counter[tuple[WorkerId, ObjectId]] = Counter()
        self.shunned: set[tuple[WorkerId, ObjectId]] = set()  # sources that failed for an object
        self.bytes_from_manager = 0
        self.bytes_from_peers = 0
        self.done = 0
        self.failed = 0

    def add(self, transfer: Transfer) -> None:
        self.active[transfer.transfer_id] = transfer
        self.into[transfer.destination, transfer.object_id] = transfer.transfer_id
        self.receiving.setdefault(transfer.object_id, {})[transfer.destination] = transfer.transfer_id
        self.pulls += transfer.destination == MANAGER
        if not transfer.in_forest:
            for source in transfer.sources:
                self.slots.take(source)

    def remove(self, transfer: Transfer) -> None:
        del self.active[transfer.transfer_id]
        del self.into[transfer.destination, transfer.object_id]
        receivers = self.receiving[transfer.object_id]
        del receivers[transfer.destination]
        if not receivers:
            del self.receiving[transfer.object_id]
        self.pulls -= transfer.destination == MANAGER
        if not transfer.in_forest:
            for source in transfer.sources:
                self.slots.give(source)
        self.touch(transfer.destination, transfer.object_id)

    def want(self, node: WorkerId, object_id: ObjectId, path: str | None = None) -> None:
        self.wanting.setdefault(object_id, {})[node] = path
        self.touch(node, object_id)

    def want_no_more(self, node: WorkerId, object_id: ObjectId) -> str | None:
        """Returns the manager's destination path, if it was one."""
        wanting = self.wanting.get(object_id, {})
        path = wanting.pop(node, None)
        if not wanting:
            self.wanting.pop(object_id, None)
        self.touch(node, object_id)
        return path

    def touch(self, node: WorkerId, object_id: ObjectId) -> None:
        """What this node has, wants or is worth as a source of the object may have changed."""
        self.dirty.setdefault(object_id, {})[node] = None

    def shun(self, source: WorkerId, object_id: ObjectId) -> None:
        self.shunned.add((source, object_id))
        self.touch(source, object_id)

    def pardon(self, pairs: Iterable[tuple[WorkerId, ObjectId]]) -> None:
        for source, object_id in [pair for pair in pairs if pair in self.shunned]:
            self.shunned.remove((source, object_id))
            self.touch(source, object_id)

    def forgive(self, node: WorkerId | None = None, object_id: ObjectId | None = None) -> None:
        """Forget what failed of a node that has left, or of an object that is no more."""
        self.shunned = {pair for pair in self.shunned if node != pair[0] and object_id != pair[1]}
        for pair in [pair for pair in self.failures if node == pair[0] or object_id == pair[1]]:
            del self.failures[pair]

    def coming_to(self, object_id: ObjectId) -> set[WorkerId]:
        """The nodes that receive the object or wait for a source of it."""
        return self.receiving.get(object_id, {}).keys() | self.wanting.get(object_id, {}).keys()

    def is_coming(self, node: WorkerId, object_id: ObjectId) -> bool:
        return (node, object_id) in self.into or node in self.wanting.get(object_id, {})
