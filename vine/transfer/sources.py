"""What does a receiver know of one of its sources: what it was asked for, what it has, whether it answers?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from vine import config
from vine.transfer.credit import Credit
from vine.wire.parts import FetchFault, SourceEdge


class Asked(NamedTuple):
    """When a chunk was asked for, and by which layout of stripes."""

    at: float
    layout: int


class Storing(NamedTuple):
    """When a chunk that has come was asked for, and whether the source had it by then, since it has more already."""

    asked_at: float
    at_once: bool


@dataclass(slots=True, eq=False)
class Source:
    """One flow into this node, for however many stripes its source stands in the plan."""

    number: int
    edge: SourceEdge
    credit: Credit
    wanted: dict[int, Asked] = field(default_factory=dict)
    storing: dict[int, Storing] = field(default_factory=dict)
    withdrawn: set[int] = field(default_factory=set)  # was wanted, and may have left before it was cancelled
    have: dict[int, int] = field(default_factory=dict)  # by stripe: it has all of it below this chunk
    owed: set[int] = field(default_factory=set)  # stripes of which it lacks only what it could have got
    complete: bool = False  # it has the whole object
    strikes: int = 0
    open: bool = False  # it was asked and has not been told the end: there is a flow, or will be
    heard_at: float = 0.0  # when it last sent what was wanted, or was first asked after a pause
    put_off_s: float = 0.0  # of the time since, so much does not count
    asked_at: float = 0.0
    interval_s: float = 0.0  # between two chunks of it, as a moving mean
    reminded: int = 0  # times that wants were said again since it last sent something
    busy_since: float | None = None
    busy_pause_s: float = 0.0  # how long it was left alone last
    retry_at: float | None = None  # set while a busy source is left alone
    gone: tuple[FetchFault, str] | None = None
    reported: bool = False
    slow: bool = False  # for good: what it would do if it were asked for more is not tried again
    doubted_at: float | None = None  # Its backup was called then; until it sends something, no more is asked of it.

    @property
    def outstanding(self) -> int:
        return len(self.wanted) + len(self.storing)

    @property
    def answers(self) -> bool:
        """Whether it may be asked for anything."""
        return self.gone is None and self.retry_at is None

    @property
    def falters(self) -> bool:
        """Whether its backups are to be asked."""
        return self.slow or self.doubted_at is not None or not self.answers

    def has(self, index: int, stripes: int) -> bool:
        """Whether it has said that it has this chunk."""
        return self.complete or index < self.have.get(index % stripes, 0)

    def owes(self, chunks: Iterable[int], stripes: int) -> bool:
        """Whether it is known to have one of these."""
        return any(self.has(index, stripes) for index in chunks)

    def ask(self, chunks: Iterable[int], layout: int, now: float) -> None:
        if not self.wanted:
            self.heard_at, self.put_off_s = now, 0.0
        self.wanted.update((index, Asked(now, layout)) for index in chunks)
        self.withdrawn.difference_update(chunks)
        self.asked_at, self.open = now, True

    def sent(self, index: int, have: int | None, stripes: int, layout: int, now: float, owed: bool = False) -> bool:
        """Take note of a chunk that has come from it; tell whether it was asked for."""
        asked = self.wanted.pop(index, None)
        if asked is None:
            if index not in self.withdrawn:
                return False
            asked = Asked(now, layout=-1)  # It says nothing about the delay.
            self.withdrawn.remove(index)
        has_more = have is None or have > index + stripes
        self.storing[index] = Storing(asked.at, has_more and asked.layout == layout)
        self._learn(asked, index, have, stripes, layout)
        if have is not None and asked.layout == layout:
            (self.owed.add if owed else self.owed.discard)(index % stripes)
        self.interval_s += (now - self.heard_at - self.interval_s) / 4
        self.heard_at, self.reminded = now, 0
        self.busy_since = self.doubted_at = None
        self.busy_pause_s = 0.0
        return True

    def told(self, index: int, have: int | None, stripes: int, layout: int) -> None:
        """It has said what it has of the stripe of this chunk, which it was asked for, without sending it."""
        asked = self.wanted.get(index)
        if asked is not None:
            self._learn(asked, index, have, stripes, layout)

    def _learn(self, asked: Asked, index: int, have: int | None, stripes: int, layout: int) -> None:
        if have is None:
            self.complete = True
        elif asked.layout == layout:  # Else it may speak of stripes of another number.
            stripe = index % stripes
            self.have[stripe] = max(self.have.get(stripe, 0), have)

    def stored(self, index: int, now: float) -> None:
        asked = self.storing.pop(index)
        self.credit.stored(asked.asked_at, asked.at_once, now)

    def leave_alone(self, now: float) -> None:
        """It is busy: ask it again after a pause, each time a longer one."""
        self.busy_pause_s = min(max(2 * self.busy_pause_s, config.busy_retry_first_s), config.busy_retry_s)
        self.retry_at = now + self.busy_pause_s

    def withdraw(self, index: int) -> None:
        """It was wanted of this source, and need not come any more."""
        del self.wanted[index]
        self.withdrawn.add(index)

    def give_up_wants(self) -> list[int]:
        """All that was wanted of it, to be wanted of others; what has left already may still come."""
        wants = list(self.wanted)
        self.withdrawn.update(wants)
        self.wanted.clear()
        return wants

    def silent_at(self, stripes: int) -> float:
        """When its silence is too long: one that may still lack what we want has an excuse."""
        owes = self.owes(self.wanted, stripes)
        return self.heard_at + (config.edge_silence_s if owes else config.receiving_silence_s)

    def deadline(self, stripes: int) -> float | None:
        if self.gone is not None:
            return None
        if self.retry_at is not None:
            return self.retry_at
        if not self.wanted:
            return None
        return min(max(self.asked_at, self.heard_at) + self._patience_s(), self.silent_at(stripes))

    def _patience_s(self) -> float:
        """How long to wait until wants are said again: on a slow way chunks are late, and would come twice."""
        usual_s = max(config.want_again_s, config.want_again_intervals * self.interval_s)
        return min(usual_s * (1 << self.reminded), config.want_again_max_s)
