"""What does the manager know of a library: what it is, where it has been loaded, and how often that has failed?"""

from __future__ import annotations

from dataclasses import dataclass, field

from vine.names import FileId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.wire.parts import LibrarySpec, Request, Resources


@dataclass(slots=True)
class LibraryRecord:
    """A library, from its installation until its client leaves: those removed are remembered for who asks."""

    spec: LibrarySpec
    client: PeerKey
    removed: bool = False
    loading: dict[WorkerId, float] = field(default_factory=dict)  # since when
    loaded: dict[WorkerId, float] = field(default_factory=dict)  # and how many seconds that took
    failed_on: dict[WorkerId, float] = field(default_factory=dict)  # where it is not tried again for a while; when
    failures: int = 0  # since a call of it has last run
    trouble: str = ""  # how it failed last
    raised: bytes | None = None  # what was raised then, serialised
    broken: bool = False  # It is not tried again.

    @property
    def number(self) -> FileId:
        return self.spec.file_id

    def slots_of(self, allotment: Resources) -> int:
        """How many calls run at once with this: as many as the user says, else one a core."""
        return self.spec.slots or max(1, int(allotment.cores))

    @property
    def request_of_one(self) -> Request:
        """What one call needs of a fleet, so that the factory starts as many workers as there are calls for."""
        whole = self.spec.request
        slots = self.spec.slots or max(1, int(whole.cores or 1))
        parts = [None if amount is None else amount / slots for amount in (whole.memory_mb, whole.disk_mb, whole.gpus)]
        return Request(1.0 if whole.cores is None else whole.cores / slots, *parts)
