"""How long does a task wait for a shared filesystem that many tasks, and other people, ask at once?

Metadata first: an interpreter that starts looks up thousands of names, one after the other, and each
look-up goes to the metadata service, which serves all streams of look-ups alike: ours, and as many of
others as the run found there. Then the pages: what the first tasks of a node read comes over the data
service once and stays in that node's page cache, for which the other tasks there wait with them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from functools import partial

from benchmarks.simulator.clock import Clock

Done = Callable[[], None]


class FairShare:
    """A service that works on everything it is asked for at once, each at the same rate."""

    def __init__(self, clock: Clock, per_s: float, *, others: float = 0.0, each_per_s: float = math.inf) -> None:
        """`others` are always there; nobody gets more than `each_per_s`."""
        self._clock = clock
        self._per_s, self._others, self._each_per_s = per_s, others, each_per_s
        self._given = 0.0  # to each one who was here all the time
        self._since = 0.0  # when that was so
        self._waiting: list[tuple[float, int, Done]] = []
        self._asked = 0
        self._look = 0

    @property
    def rate(self) -> float:
        """What each one gets in a second."""
        streams = len(self._waiting) + self._others
        return min(self._each_per_s, self._per_s / streams) if streams else self._each_per_s

    def take(self, amount: float, done: Done) -> None:
        """Ask for so much; `done` is called when it is there."""
        self._advance()
        self._asked += 1
        heapq.heappush(self._waiting, (self._given + amount, self._asked, done))
        self._expect()

    def _advance(self) -> None:
        now = self._clock.now()
        self._given += self.rate * (now - self._since) if self._waiting else 0.0
        self._since = now

    def _expect(self) -> None:
        self._look += 1
        if self._waiting:
            left = max(0.0, self._waiting[0][0] - self._given)
            self._clock.after(left / self.rate, partial(self._end, self._look))

    def _end(self, look: int) -> None:
        if look != self._look:
            return  # The rate has changed since.
        self._advance()
        ended = []
        while self._waiting and self._waiting[0][0] <= self._given * (1 + 1e-12) + self.rate * 1e-8:
            ended.append(heapq.heappop(self._waiting)[2])
        self._expect()
        for done in ended:
            done()


class SharedFilesystem:
    """The two services, as all nodes share them."""

    def __init__(self, metadata: FairShare, data: FairShare, opened_bytes: float) -> None:
        """`opened_bytes` is what a task reads of its environment and dataset."""
        self.metadata, self.data, self.opened_bytes = metadata, data, opened_bytes


class Mount:
    """The shared filesystem as one node sees it, with the page cache of that node."""

    def __init__(self, filesystem: SharedFilesystem) -> None:
        self._filesystem = filesystem
        self._cached = False
        self._waiting: list[Done] | None = None  # for pages that come

    def start_task(self, operations: float, done: Done) -> None:
        """Look up all that a task opens, then have its pages."""
        self._filesystem.metadata.take(operations, partial(self._pages, done))

    def _pages(self, done: Done) -> None:
        if self._cached:
            done()
        elif self._waiting is not None:
            self._waiting.append(done)
        else:
            self._waiting = [done]
            self._filesystem.data.take(self._filesystem.opened_bytes, self._here)

    def _here(self) -> None:
        assert self._waiting is not None, "somebody has asked for the pages"
        self._cached, waiting = True, self._waiting
        for done in waiting:
            done()
