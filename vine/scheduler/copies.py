"""Which copies are wanted though no task asks for them: broadcasts, numbers of copies, and who may be given one."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from itertools import chain

from vine.names import FileId, HostId, ObjectId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.scheduler.files import ObjectRecord
from vine.wire.parts import Outcome

_ENDED_KEPT = 10  # Broadcasts that views show after their end.


@dataclass(slots=True)
class Broadcast:
    """A file that a client wants on workers before tasks ask for it."""

    client: PeerKey
    request: int
    file_id: FileId
    label: str
    count: int | None = None  # how many workers; None: those `chosen` at first, or everybody
    for_all: bool = False  # for those who join later, too
    asked_at: float = 0.0
    object_id: ObjectId | None = None  # what the file stood for when `chosen` were last told to get it
    chosen: set[WorkerId] = field(default_factory=set)  # who is to have it
    missing: set[WorkerId] = field(default_factory=set)  # those of them who do not have it yet
    given_up: dict[WorkerId, tuple[Outcome, str]] = field(default_factory=dict)  # who could not get it, or keep it
    flowing: ObjectId | None = None  # what is transferred: the file's object, or the archive that it is unpacked from
    size_bytes: int = 0  # of that
    received_bytes: int = 0  # by all, until its end
    fastest: float = 0.0  # bytes a second of the fastest single transfer
    began_at: float | None = None  # since when it flows
    ended_at: float | None = None  # when its client was told that all have it
    over: bool = False  # nothing more is done about it

    @property
    def have(self) -> int:
        """Nobody, while it is not known what the file is or there is no copy."""
        return 0 if self.object_id is None else len(self.chosen) - len(self.missing)


class Copies:
    """What is wanted where, and what has happened in this step that may change it."""

    def __init__(self) -> None:
        self.broadcasts: dict[FileId, list[Broadcast]] = {}
        self.ended: deque[Broadcast] = deque(maxlen=_ENDED_KEPT)  # those that want nothing more
        self.replicated: set[FileId] = set()  # those of which several copies are to be kept
        self.targets: dict[ObjectId, set[WorkerId]] = {}  # who is about to get one of several copies
        self.refused: dict[tuple[WorkerId, ObjectId], float] = {}  # who had no room for one, and until when
        self.few: dict[ObjectId, None] = {}  # of which there are fewer copies than wanted, for want of hosts
        # What is to be looked at in this step:
        self.files: dict[FileId, None] = {}
        self.objects: dict[ObjectId, None] = {}
        self.joined: list[WorkerId] = []
        self.left: list[WorkerId] = []
        self.failed: list[tuple[WorkerId, ObjectId, Outcome, str]] = []  # what could not be had where, or was given up
        self.news = (self.files, self.objects, self.joined, self.left, self.failed)
        self._hosts: Counter[HostId] = Counter()
        self._turns: OrderedDict[WorkerId, HostId] = OrderedDict()  # who was given a copy the longest ago comes first

    @property
    def any_wanted(self) -> bool:
        return bool(self.broadcasts or self.replicated or self.targets or self.few)

    def settled(self) -> None:
        """The step is over."""
        for some in self.news:
            some.clear()

    def object_gone(self, object_id: ObjectId) -> None:
        """Nobody is to have it any more."""
        if object_id in self.targets or object_id in self.few:
            self.objects[object_id] = None

    def all(self) -> Iterator[Broadcast]:
        return (broadcast for some in self.broadcasts.values() for broadcast in some)

    def add(self, broadcast: Broadcast) -> None:
        self.broadcasts.setdefault(broadcast.file_id, []).append(broadcast)

    def remove(self, broadcast: Broadcast) -> None:
        broadcast.over = True
        some = self.broadcasts[broadcast.file_id]
        some.remove(broadcast)
        if not some:
            del self.broadcasts[broadcast.file_id]

    def of(self, known: ObjectRecord) -> list[Broadcast]:
        """The broadcasts of files that stand for this object."""
        if not self.broadcasts:
            return []
        return [broadcast for file_id in sorted(known.files) for broadcast in self.broadcasts.get(file_id, ())]

    def received(self, object_id: ObjectId, size_bytes: int, seconds: float) -> None:
        """A worker has got the object by a transfer that took so long."""
        for broadcast in self.all():
            if broadcast.flowing == object_id and broadcast.ended_at is None:
                broadcast.received_bytes += size_bytes
                broadcast.fastest = max(broadcast.fastest, size_bytes / seconds if seconds else 0.0)

    def is_awaited(self, file_id: FileId) -> bool:
        """Whether a client still waits for the file to be on workers."""
        return any(broadcast.ended_at is None for broadcast in self.broadcasts.get(file_id, ()))

    # --- who may be given a copy ---

    def join(self, worker_id: WorkerId, host_id: HostId) -> None:
        self.joined.append(worker_id)
        self._hosts[host_id] += 1
        self._turns[worker_id] = host_id

    def leave(self, worker_id: WorkerId) -> None:
        self.left.append(worker_id)
        host_id = self._turns.pop(worker_id)
        self._hosts[host_id] -= 1
        if not self._hosts[host_id]:
            del self._hosts[host_id]

    def pick(
        self,
        count: int,
        beside: Set[WorkerId],
        here: Set[WorkerId],
        barred: Callable[[WorkerId], bool],
        one_a_host: bool,
    ) -> list[WorkerId]:
        """Up to `count` workers that are not among `beside`, those of other hosts first.

        Of them, first those that have it or are about to (`here`), then whoever was picked the longest ago.
        """
        hosts = {self._turns[worker_id] for worker_id in beside}
        picked: dict[WorkerId, None] = {}
        second_best: dict[WorkerId, None] = {}
        best = sorted(worker_id for worker_id in here if worker_id in self._turns)
        for worker_id in chain(best, self._turns):
            if len(picked) == count or (one_a_host and len(hosts) == len(self._hosts)):
                break
            if worker_id in beside or worker_id in picked or barred(worker_id):
                continue
            host_id = self._turns[worker_id]
            (second_best if host_id in hosts else picked)[worker_id] = None
            hosts.add(host_id)
        if not one_a_host:
            picked.update(dict.fromkeys(list(second_best)[: count - len(picked)]))
        for worker_id in picked:
            self._turns.move_to_end(worker_id)
        return list(picked)
