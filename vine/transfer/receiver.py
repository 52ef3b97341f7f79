"""What does a node that pulls an object ask of which source, and when is that transfer over?

Chunk j comes from source j mod n, so a chunk's index names its source. Every chunk is in one place:
`missing` (to be wanted), `wanted` (asked for), `storing` (here, being hashed and written) or done.
Credit bounds wanted and storing together, so that a slow disk slows the sources down.
Only stored chunks count: connections lose and repeat messages, the machine asks again and ignores.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field

from vine import config
from vine.wire.data import RefusalReason
from vine.wire.messages import FetchFault


@dataclass(frozen=True, slots=True)
class SendWant:
    """Ask this source for these chunks."""

    source: int
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendEnd:
    """Tell this source that nothing more is wanted of it."""

    source: int


@dataclass(frozen=True, slots=True)
class StoreChunk:
    """Hash and write the chunk that has just come; answer with `stored`."""

    index: int


@dataclass(frozen=True, slots=True)
class Complete:
    """Every chunk is stored."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The transfer is over without its object; `source` is who is to blame, None for ourselves."""

    fault: FetchFault
    source: int | None
    message: str


Action = SendWant | SendEnd | StoreChunk | Complete | Fail

_REFUSALS = {
    RefusalReason.UNKNOWN: (FetchFault.SOURCE_REFUSED, "it does not have the object"),
    RefusalReason.CHANGED: (FetchFault.SOURCE_CHANGED, "its local file has changed since it was declared"),
}


@dataclass(slots=True)
class _Edge:
    """What there is between this node and one source."""

    number: int
    missing: list[int]  # a heap
    wanted: set[int] = field(default_factory=set)
    storing: set[int] = field(default_factory=set)
    have: int = 0  # chunks that the source held when it last spoke
    strikes: int = 0
    heard_at: float = 0.0  # when it last sent what was wanted, or was first asked after a pause
    asked_at: float = 0.0
    busy_since: float | None = None
    retry_at: float | None = None  # set while a busy source is left alone
    ended: bool = False

    def done(self) -> bool:
        return not (self.missing or self.wanted or self.storing)


class Receiver:
    """One transfer of one object into this node."""

    def __init__(self, chunk_count: int, present: Collection[int], source_count: int) -> None:
        here = frozenset(present)
        absent = [index for index in range(chunk_count) if index not in here]
        assert source_count > 0 or not absent, "a transfer needs a source"
        self._edges = [
            _Edge(number, [index for index in absent if index % source_count == number])  # ascending: a heap
            for number in range(source_count)
        ]
        self._chunk_count = chunk_count
        self._remaining = len(absent)
        self.over = False
        self.unsolicited = 0  # chunks that nobody had asked for, or for the second time
        self.bad_chunks = 0

    def start(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for edge in self._edges:
            edge.ended = edge.done()  # It has never heard of us and need not hear the end.
            actions += self._want(edge, now)
        return actions or self._complete()

    def chunk(self, index: int, have: int, now: float) -> list[Action]:
        """A chunk has come whose source holds `have` chunks."""
        edge = self._edge_of(index)
        if edge is None or index not in edge.wanted:
            self.unsolicited += 1
            return []
        edge.wanted.remove(index)
        edge.storing.add(index)
        edge.have = max(edge.have, have)
        edge.heard_at = now
        edge.busy_since = None
        return [StoreChunk(index), *self._want(edge, now)]

    def stored(self, index: int, ok: bool, now: float) -> list[Action]:
        """The chunk given out by `StoreChunk` is on disk, or its bytes were not those of the manifest."""
        edge = self._edge_of(index)
        if edge is None:
            return []  # The transfer ended while the chunk was being written.
        assert index in edge.storing, "a chunk was stored that was not given out"
        edge.storing.remove(index)
        if not ok:
            return self._strike(edge, index, now)
        self._remaining -= 1
        return self._proceed(edge, now) + self._complete()

    def refused(self, index: int, reason: RefusalReason, now: float) -> list[Action]:
        """The source of this chunk does not serve us."""
        edge = self._edge_of(index)
        if edge is None or not edge.wanted:
            return []
        if reason is not RefusalReason.BUSY:
            fault, message = _REFUSALS[reason]
            return self.fail(fault, message, edge.number)
        if edge.busy_since is None:
            edge.busy_since = now
        if now - edge.busy_since >= config.edge_silence_s:
            return self.fail(FetchFault.SOURCE_BUSY, "it serves its cap of others", edge.number)
        for wanted in edge.wanted:
            heapq.heappush(edge.missing, wanted)
        edge.wanted.clear()
        edge.retry_at = now + config.busy_retry_s
        return []

    def unreachable(self, source: int) -> list[Action]:
        """No connection to this source could be made, or none could be made again."""
        if self.over or self._edges[source].done():
            return []
        return self.fail(FetchFault.SOURCE_GONE, "it cannot be reached", source)

    def fail(self, fault: FetchFault, message: str, source: int | None = None) -> list[Action]:
        """End without the object: a source's fault, or (without one) the disk's, or an order to stop."""
        if self.over:
            return []
        self.over = True
        actions: list[Action] = [SendEnd(edge.number) for edge in self._edges if not edge.ended]
        return [*actions, Fail(fault, source, message)]

    def tick(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for edge in self._edges:
            if not self.over:
                actions += self._remind(edge, now)
        return actions

    def next_deadline(self) -> float | None:
        if self.over:
            return None
        return min((at for edge in self._edges if (at := self._deadline(edge)) is not None), default=None)

    def outstanding(self, source: int) -> int:
        """Chunks wanted of this source, or come from it and not yet stored."""
        edge = self._edges[source]
        return len(edge.wanted) + len(edge.storing)

    def has_ended(self, source: int) -> bool:
        """Whether nothing more is wanted of this source."""
        return self._edges[source].ended

    def _edge_of(self, index: int) -> _Edge | None:
        """The edge that a chunk belongs to while the transfer runs; anything else is too late or a lie."""
        if self.over or not 0 <= index < self._chunk_count or not self._edges:
            return None
        return self._edges[index % len(self._edges)]

    def _proceed(self, edge: _Edge, now: float) -> list[Action]:
        if not edge.done():
            return self._want(edge, now)
        edge.ended = True
        return [SendEnd(edge.number)]

    def _want(self, edge: _Edge, now: float) -> list[Action]:
        """Use the free credit, a quarter of it at least, so that wants are fewer than chunks."""
        room = config.credit_chunks - self.outstanding(edge.number)
        if edge.retry_at is not None or not edge.missing or room <= 0:
            return []
        if edge.wanted and room < config.credit_chunks // 4:
            return []
        if not edge.wanted:
            edge.heard_at = now
        chunks = tuple(heapq.heappop(edge.missing) for _ in range(min(room, len(edge.missing))))
        edge.wanted.update(chunks)
        edge.asked_at = now
        return [SendWant(edge.number, chunks)]

    def _strike(self, edge: _Edge, index: int, now: float) -> list[Action]:
        self.bad_chunks += 1
        edge.strikes += 1
        if edge.strikes >= config.bad_chunks_max:
            message = f"{edge.strikes} of its chunks were not what the manifest says"
            return self.fail(FetchFault.BAD_CHUNKS, message, edge.number)
        heapq.heappush(edge.missing, index)
        return self._want(edge, now)

    def _complete(self) -> list[Action]:
        if self._remaining or self.over:
            return []
        self.over = True
        return [Complete()]

    def _remind(self, edge: _Edge, now: float) -> list[Action]:
        deadline = self._deadline(edge)
        if deadline is None or now < deadline:
            return []
        if edge.retry_at is not None:
            edge.retry_at = None
            return self._want(edge, now)
        if now >= edge.heard_at + self._silence_s(edge):
            message = f"it sent nothing for {now - edge.heard_at:.0f} s"
            return self.fail(FetchFault.SOURCE_GONE, message, edge.number)
        edge.asked_at = now
        return [SendWant(edge.number, tuple(sorted(edge.wanted)))]

    def _deadline(self, edge: _Edge) -> float | None:
        if edge.retry_at is not None:
            return edge.retry_at
        if not edge.wanted:
            return None
        return min(edge.asked_at + config.want_again_s, edge.heard_at + self._silence_s(edge))

    def _silence_s(self, edge: _Edge) -> float:
        """How long this source may be silent: one that may still lack what we want has an excuse."""
        return config.edge_silence_s if edge.have >= self._chunk_count else config.receiving_silence_s
