"""Which flows are planned, which objects are wanted where, and who counts as a source of what?"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from vine.names import MANAGER, HostId, ObjectId, TransferId, WorkerId
from vine.scheduler.records import TransferEnded
from vine.scheduler.workers import WorkerRecord
from vine.transfer.forest import Forest
from vine.transfer.trees import Slots
from vine.wire.parts import COUNT_MAX, FetchFault


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
    backups: tuple[WorkerId | None, ...] = ()  # of each source; they keep no slot
    within_host: bool = False  # Both ends see the same store: nothing flows, and no slot is taken.
    changed: bool = False  # It has not had these sources from the start.

    @property
    def has_slots(self) -> bool:
        """Whether it has taken its sources' slots itself."""
        return not (self.in_forest or self.within_host)

    def without_backup(self, node: WorkerId) -> Transfer:
        return replace(self, backups=tuple(None if backup == node else backup for backup in self.backups))

    def ended(self, fault: FetchFault, received_bytes: int, from_manager: int, seconds: float) -> TransferEnded:
        """How it went, for the journal."""
        flow = self.transfer_id, self.object_id, self.sources, self.destination
        return TransferEnded(*flow, fault.value, received_bytes, from_manager, seconds)


def summed(total: int, more: int) -> int:
    """Their sum, as far as it can be told: what workers say that they have received may be anything."""
    return min(total + more, COUNT_MAX)


class Transfers:
    """All flows of the run, and those that wait for a source with a free slot.

    Whatever may change a node's part in the spreading of an object makes it `dirty`: the forests are
    brought up to date once a step (see spreading.py).
    """

    def __init__(self, transfers_max: int) -> None:
        self.active: dict[TransferId, Transfer] = {}
        self.into: dict[tuple[WorkerId, ObjectId], TransferId] = {}
        self.receiving: dict[ObjectId, dict[WorkerId, TransferId]] = {}
        self.backed: dict[tuple[WorkerId, ObjectId], dict[TransferId, None]] = {}  # by whom they name as a backup
        self.unbacked: set[TransferId] = set()  # those that name one which is gone
        self.wanting: dict[ObjectId, dict[WorkerId, str | None]] = {}  # value: the manager's destination path
        # Of what is wanted, and is no forest's: what may have come to be possible, and what waits for whose slots.
        self.ripe: dict[ObjectId, None] = {}
        self.starved: dict[WorkerId, OrderedDict[ObjectId, None]] = {}
        self.unpulled: OrderedDict[ObjectId, None] = OrderedDict()  # what waits until the manager may pull more
        self.mates: dict[ObjectId, dict[HostId, dict[WorkerId, None]]] = {}  # who wait for another of their host
        self.makers: dict[ObjectId, set[WorkerId]] = {}  # whose `making` it is in
        self.slots = Slots(transfers_max)
        self.forests: dict[ObjectId, Forest] = {}
        self.dirty: dict[ObjectId, dict[WorkerId, None]] = {}
        self.hungry: dict[ObjectId, None] = {}  # whose forests could not feed all who want it
        self.retrying = False  # slots or holders may have appeared in this step
        self.pulls = 0  # flows into the manager
        self.failures: Counter[tuple[WorkerId, ObjectId]] = Counter()
        self.shunned: set[tuple[WorkerId, ObjectId]] = set()  # sources that failed for an object
        # Those whose copy is to be hashed again before they are pardoned, and whether they have been told to.
        self.doubted: dict[tuple[WorkerId, ObjectId], bool] = {}
        self.verified: set[tuple[WorkerId, ObjectId]] = set()  # copies that were found good in spite of doubts
        self.bytes_from_manager = 0
        self.bytes_from_peers = 0
        self.done = 0
        self.failed = 0
        self.served_at_once_max = 0  # flows out of one worker, over the whole run: by the workers' own count

    def add(self, transfer: Transfer) -> None:
        self.active[transfer.transfer_id] = transfer
        self.into[transfer.destination, transfer.object_id] = transfer.transfer_id
        self.receiving.setdefault(transfer.object_id, {})[transfer.destination] = transfer.transfer_id
        if transfer.object_id in self.wanting:
            self.ripe[transfer.object_id] = None  # Its receiver may be a source.
        self.pulls += transfer.destination == MANAGER
        if transfer.has_slots:
            for source in transfer.sources:
                self.slots.take(source)
        self._note_backups(transfer)

    def remove(self, transfer: Transfer) -> None:
        self._forget_backups(transfer)
        del self.active[transfer.transfer_id]
        del self.into[transfer.destination, transfer.object_id]
        receivers = self.receiving[transfer.object_id]
        del receivers[transfer.destination]
        if not receivers:
            del self.receiving[transfer.object_id]
        self.pulls -= transfer.destination == MANAGER
        if transfer.has_slots:
            for source in transfer.sources:
                self.slots.give(source)
        self.touch(transfer.destination, transfer.object_id)

    def change(
        self, transfer: Transfer, sources: tuple[WorkerId, ...], backups: tuple[WorkerId | None, ...]
    ) -> Transfer:
        """A flow of a forest that runs is fed by these from now on."""
        assert transfer.in_forest, "who has taken slots of its own keeps its source"
        self._forget_backups(transfer)
        anew = transfer.changed or transfer.sources != sources
        changed = replace(transfer, sources=sources, backups=backups, changed=anew)
        self.active[transfer.transfer_id] = changed
        self._note_backups(changed)
        return changed

    def backup_gone(self, node: WorkerId, object_id: ObjectId) -> None:
        """Nobody can be helped by this node any more: those who counted on it are to be told of another."""
        for transfer_id in self.backed.pop((node, object_id), {}):
            transfer = self.active[transfer_id] = self.active[transfer_id].without_backup(node)
            self.unbacked.add(transfer_id)
            self.touch(transfer.destination, object_id)

    def _note_backups(self, transfer: Transfer) -> None:
        for backup in transfer.backups:
            if backup is not None:
                self.backed.setdefault((backup, transfer.object_id), {})[transfer.transfer_id] = None

    def _forget_backups(self, transfer: Transfer) -> None:
        self.unbacked.discard(transfer.transfer_id)
        for backup in set(transfer.backups) - {None}:
            assert backup is not None
            backed = self.backed[backup, transfer.object_id]
            del backed[transfer.transfer_id]
            if not backed:
                del self.backed[backup, transfer.object_id]

    def make(self, worker: WorkerRecord, object_id: ObjectId) -> None:
        """The worker was told to unpack the object, or sent it inline, and has not confirmed it yet."""
        worker.making.add(object_id)
        self.makers.setdefault(object_id, set()).add(worker.worker_id)

    def make_no_more(self, worker: WorkerRecord, object_id: ObjectId) -> None:
        """It has the object, could not make it, or need not any more."""
        if object_id in worker.making:
            worker.making.remove(object_id)
            makers = self.makers[object_id]
            makers.remove(worker.worker_id)
            if not makers:
                del self.makers[object_id]

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
        if object_id in self.wanting:
            self.ripe[object_id] = None

    def shun(self, source: WorkerId, object_id: ObjectId) -> None:
        self.shunned.add((source, object_id))
        self.touch(source, object_id)

    def pardon(self, pairs: Iterable[tuple[WorkerId, ObjectId]]) -> None:
        for source, object_id in [pair for pair in pairs if pair in self.shunned and pair not in self.doubted]:
            self.shunned.remove((source, object_id))
            self.touch(source, object_id)

    def forgive(self, node: WorkerId | None = None, object_id: ObjectId | None = None) -> None:
        """Forget what failed of a node that has left, or of an object that is no more."""
        if node is not None:
            self.starved.pop(node, None)
        if not (self.failures or self.shunned or self.verified or self.doubted):
            return  # As mostly.
        for pairs in (self.shunned, self.verified):
            pairs -= {pair for pair in pairs if node == pair[0] or object_id == pair[1]}
        for table in (self.failures, self.doubted):
            for pair in [pair for pair in table if node == pair[0] or object_id == pair[1]]:
                del table[pair]

    def spreads(self, object_id: ObjectId) -> bool:
        """Whether somebody gets, wants or plans the object, so that it matters who else has it."""
        flows = object_id in self.receiving or object_id in self.wanting
        return flows or object_id in self.mates or object_id in self.forests

    def coming_to(self, object_id: ObjectId) -> set[WorkerId]:
        """The nodes that receive the object or wait for a source of it."""
        return self.receiving.get(object_id, {}).keys() | self.wanting.get(object_id, {}).keys()

    def is_coming(self, node: WorkerId, object_id: ObjectId) -> bool:
        return (node, object_id) in self.into or node in self.wanting.get(object_id, {})

    def hanging(self, object_id: ObjectId, holders: Container[WorkerId]) -> Transfer | None:
        """A flow from a node that has changed, and neither has nor gets the object.

        One at a time: where it begins anew, its receiver may wait meanwhile, and those that hang on it do so, too.
        """
        idle = {n for n in self.dirty[object_id] if n not in holders and not self.is_coming(n, object_id)}
        flows = map(self.active.__getitem__, self.receiving.get(object_id, {}).values() if idle else ())
        return next((flow for flow in flows if not idle.isdisjoint(flow.sources)), None)
