"""How fast does each node send to others: a coarse rank, from what transfers, nodes and their children have told?

A rank is a power of two by which a node is slower than is usual, so that noise does not reorder trees. A
transfer's rate bounds the rates of its sources from below: the best of the last ones counts. A slow one is
held against a source only if neither the receiver nor the source's own receiving explains it.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Collection

from vine import config
from vine.names import ObjectId, WorkerId

LAST = 8  # of a node that was too slow for its children in many objects' forests
_RANK_MAX = 3  # Eight times slower or faster: what lies beyond is no better known.
_RATES_KEPT = 8  # of each node
_USUAL_RATES_KEPT = 101  # of the run: enough for a steady median, few enough to follow the network's load


class Ranks:
    """What is known of the nodes of a run. Rates are in bytes a second."""

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=_USUAL_RATES_KEPT)
        self._usual: float | None = None  # their median, when it is up to date
        self._into: dict[WorkerId, deque[float]] = {}
        self._out_of: dict[WorkerId, deque[float]] = {}
        self._told: dict[WorkerId, tuple[int, float]] = {}  # bytes sent by then, and when
        self._slow_in: dict[WorkerId, set[ObjectId]] = {}

    # --- what is told ---

    def transferred(self, sources: Collection[WorkerId], receiver: WorkerId, size: int, seconds: float) -> None:
        """A transfer has ended well that had these sources from its beginning."""
        if size < config.rate_bytes_min or seconds <= 0:
            return
        rate = size / seconds
        is_slow = self._rates and rate < self._usual_rate() / 2
        is_its_own = is_slow and rate >= self._best(self._into, receiver, default=math.inf) / 2
        for source in sources:
            had_no_more = is_slow and source in self._into and self._into[source][-1] < 2 * rate
            if not (is_its_own or had_no_more):
                self._note(self._out_of, source, rate)
        self._note(self._into, receiver, rate)
        self._rates.append(rate)
        self._usual = None

    def has_sent(self, node: WorkerId, sent_bytes: int, now: float) -> None:
        """The node tells what it has sent in all: it may be faster than its receivers could show, never slower."""
        before, at = self._told.get(node, (sent_bytes, now))
        self._told[node] = (sent_bytes, now)
        if now > at and self._rates:
            rate = (sent_bytes - before) / (now - at)
            if rate > self._best(self._out_of, node, default=self._usual_rate()):
                self._note(self._out_of, node, rate)

    def was_slow(self, node: WorkerId, object_id: ObjectId) -> None:
        """The node's children in this object's forest had to be fed by others."""
        self._slow_in.setdefault(node, set()).add(object_id)

    def forget(self, node: WorkerId | None = None, object_id: ObjectId | None = None) -> None:
        """A node has left, or an object is no more."""
        if node is not None:
            for rates in (self._into, self._out_of):
                rates.pop(node, None)
            self._told.pop(node, None)
            self._slow_in.pop(node, None)
        if object_id is not None:
            for objects in self._slow_in.values():
                objects.discard(object_id)

    # --- what follows ---

    def rank(self, node: WorkerId) -> int:
        """Less for faster ones; 0 is usual, and what is taken for granted of a node that nothing is known of."""
        if len(self._slow_in.get(node, ())) >= config.slow_objects_max:
            return LAST
        if node not in self._out_of:
            return 0
        slower = self._usual_rate() / self._best(self._out_of, node, default=math.inf)
        return max(-_RANK_MAX, min(_RANK_MAX, int(math.log2(slower))))  # Less than twice is no difference.

    def _usual_rate(self) -> float:
        if self._usual is None:
            self._usual = statistics.median(self._rates)
        return self._usual

    @staticmethod
    def _note(table: dict[WorkerId, deque[float]], node: WorkerId, rate: float) -> None:
        table.setdefault(node, deque(maxlen=_RATES_KEPT)).append(rate)

    @staticmethod
    def _best(table: dict[WorkerId, deque[float]], node: WorkerId, default: float) -> float:
        return max(table.get(node, ()), default=default)
