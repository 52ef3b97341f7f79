"""How long does an object take to spread while one node is slow, its children say so and the forest is changed?

Chunk by chunk over links of given speed, each way. What a node hashes and writes takes no time here: that is
the same with and without a slow node.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from vine.names import WorkerId
from vine.transfer.forest import Forest
from vine.transfer.trees import Edge

LINK_BYTES_PER_S = 1.25e9  # 10 Gbit/s, each way
HOP_S = 0.002
WINDOW_S = 0.05  # A child looks at a source for so long, and for four chunks, before it calls it slow.
CHUNKS_JUDGED = 4


@dataclass
class _Node:
    up_factor: float = 1.0  # so many times slower than the link
    down_factor: float = 1.0
    has: set[int] = field(default_factory=set)
    stored_at: dict[int, float] = field(default_factory=dict)
    sending: bool = False
    feeds: dict[tuple[WorkerId, int], list[int]] = field(default_factory=dict)  # what is to be sent: heaps
    down_at: float = 0.0
    done_at: float | None = None
    had: int = 0  # chunks, a window ago
    sources_had: dict[WorkerId, int] = field(default_factory=dict)  # then


@dataclass
class _Inlet:
    """What a child has had of its source in a stripe."""

    parent: WorkerId
    since: float
    came: int = 0


class Spreading:
    """A forest in use: its holder has every chunk from the start, everybody else none."""

    def __init__(self, forest: Forest, holder: WorkerId, chunk_count: int, chunk_bytes: int, stripes: int = 3) -> None:
        self._forest = forest
        self._stripes = stripes
        self._chunk_count = chunk_count
        self._wire_s = chunk_bytes / LINK_BYTES_PER_S
        self._window_s = max(WINDOW_S, CHUNKS_JUDGED * self._wire_s * stripes)
        self._nodes: dict[WorkerId, _Node] = {}
        self._inlets: dict[tuple[WorkerId, int], _Inlet] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._now = 0.0
        self.reports: list[tuple[float, WorkerId, WorkerId]] = []
        self.reporting = True
        edges = list(forest.edges())
        for name in dict.fromkeys([holder, *(edge.child for edge in edges)]):
            self._nodes[name] = _Node()
        self._nodes[holder].has = set(range(chunk_count))
        self._nodes[holder].stored_at = dict.fromkeys(range(chunk_count), 0.0)
        self._holder = holder
        self._changed(edges)
        for name in self._nodes:
            self._at(self._window_s, lambda name=name: self._judge(name))  # type: ignore[misc]

    def slow_down(self, node: WorkerId, up: float, down: float = 1.0) -> None:
        self._nodes[node].up_factor, self._nodes[node].down_factor = up, down

    def run(self) -> dict[WorkerId, float]:
        """When each node has the last chunk."""
        while self._events and self._now < 60:
            self._now, _, action = heapq.heappop(self._events)
            action()
        ends = {name: node.done_at for name, node in self._nodes.items() if name != self._holder}
        assert None not in ends.values(), "somebody lacks a chunk"
        return {name: at for name, at in ends.items() if at is not None}

    def _at(self, delay_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + delay_s, next(self._number), action))

    def _changed(self, edges: list[Edge]) -> None:
        """The receivers have heard of new sources: each asks for what it lacks, in ascending order."""
        for child, stripe in dict.fromkeys((edge.child, edge.stripe) for edge in edges):
            parent = next((edge.parent for edge in self._forest.sources(child) if edge.stripe == stripe), None)
            before = self._inlets.pop((child, stripe), None)
            if before is not None and before.parent == parent:
                self._inlets[child, stripe] = before
                continue
            if before is not None:
                self._nodes[before.parent].feeds.pop((child, stripe), None)
            if parent is None:
                continue
            self._inlets[child, stripe] = _Inlet(parent, self._now)
            source = self._nodes[parent]
            lacking = source.has - self._nodes[child].has
            source.feeds[child, stripe] = sorted(chunk for chunk in lacking if chunk % self._stripes == stripe)
            self._send(parent)

    def _send(self, name: WorkerId) -> None:
        """One chunk after the other, the lowest first, to whoever lacks it."""
        node = self._nodes[name]
        waiting = [(chunks[0], edge) for edge, chunks in node.feeds.items() if chunks]
        if node.sending or not waiting:
            return
        chunk, edge = min(waiting)
        heapq.heappop(node.feeds[edge])
        node.sending = True
        wire_s = self._wire_s * node.up_factor

        def sent() -> None:
            node.sending = False
            self._at(HOP_S, lambda: self._arrive(edge[0], chunk, name))
            self._send(name)

        self._at(wire_s, sent)

    def _arrive(self, name: WorkerId, chunk: int, source: WorkerId) -> None:
        node = self._nodes[name]
        node.down_at = max(self._now, node.down_at + self._wire_s * node.down_factor)
        self._at(node.down_at - self._now, lambda: self._store(name, chunk, source))

    def _store(self, name: WorkerId, chunk: int, source: WorkerId) -> None:
        node = self._nodes[name]
        if chunk in node.has:
            return  # It came from the source before this one too.
        node.has.add(chunk)
        node.stored_at[chunk] = self._now
        inlet = self._inlets.get((name, chunk % self._stripes))
        if inlet is not None and inlet.parent == source:
            inlet.came += 1
        if len(node.has) == self._chunk_count:
            node.done_at = self._now
        for (child, stripe), chunks in node.feeds.items():
            if stripe == chunk % self._stripes and chunk not in self._nodes[child].has:
                heapq.heappush(chunks, chunk)
        self._send(name)

    def _judge(self, child: WorkerId) -> None:
        """A source that sends less than half of what another one does is slow, if it had enough to send.

        A node that gets from each less than half of what these get themselves is slow itself.
        """
        node, inlets = self._nodes[child], [self._inlets.get((child, stripe)) for stripe in range(self._stripes)]
        if len(node.has) == self._chunk_count:
            return
        known = [inlet for inlet in inlets if inlet is not None]
        for stripe, inlet in enumerate(inlets):
            if inlet is not None and self._now - inlet.since >= self._window_s * 0.99:
                best = max(other.came for other in known if other is not inlet)
                if 2 * inlet.came < best and self._withheld(child, inlet.parent, stripe) >= CHUNKS_JUDGED:
                    self._tell(child, inlet.parent)
        sources = {inlet.parent: len(self._nodes[inlet.parent].has) for inlet in known}
        receiving = [name for name, has in sources.items() if has < self._chunk_count and name in node.sources_had]
        grown = len(node.has) - node.had
        if receiving and all(sources[name] - node.sources_had[name] > 2 * grown for name in receiving):
            self._tell(child, child)
        node.had, node.sources_had = len(node.has), sources
        for inlet in known:
            inlet.came = 0
        self._at(self._window_s, lambda: self._judge(child))

    def _withheld(self, child: WorkerId, source: WorkerId, stripe: int) -> int:
        """What the source has had for the whole window, and the child has not."""
        has, lacks_from = self._nodes[source].stored_at, self._nodes[child].has
        return sum(
            chunk % self._stripes == stripe and chunk not in lacks_from
            for chunk, at in has.items()
            if at <= self._now - self._window_s
        )

    def _tell(self, child: WorkerId, source: WorkerId) -> None:
        if self.reporting:
            self._at(HOP_S, lambda: self._report(child, source))

    def _report(self, child: WorkerId, parent: WorkerId) -> None:
        """The manager hears of it, and whoever is to have another source hears that a hop later."""
        self.reports.append((self._now, child, parent))
        edges = self._forest.demote(parent) if parent == child else self._forest.accuse(parent, child)
        self._at(HOP_S, lambda: self._changed(edges))
