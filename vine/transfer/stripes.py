"""What is still missing of a stripe, and does its source send what it has as fast as those of the others do?

A source is compared with the other stripes of the same child over the same time, never with its own past:
what slows the child or its network down slows them all.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vine import config
from vine.transfer.sources import Source


class Verdict(enum.Enum):
    FINE = "fine"
    SLOW = "slow"  # It has what we want and sends it at less than half the others' rate: it is to blame.
    STUCK = "stuck"  # It has what we want and sends nothing at all.
    SILENT = "silent"  # It sends nothing, for whatever reason.


@dataclass(frozen=True, slots=True)
class _Watch:
    """A time from which on a stripe is compared with others."""

    since: float
    came: int  # by then, of the watched stripe's source
    others: tuple[int, ...]  # ... and of the other stripes


@dataclass(slots=True, eq=False)
class Stripe:
    """Every n-th chunk, and the sources that the plan names for them."""

    number: int
    primary: Source
    backup: Source | None
    remaining: int  # chunks that are not stored
    began_at: float
    patience: float = 1.0  # times which its source may take longer
    missing: list[int] = field(default_factory=list)  # a heap; what has come meanwhile is still in it
    came: int = 0
    came_of_primary: int = 0
    last_at: float = 0.0  # when the last chunk came
    helper: Source | None = None  # the backup that was called when its source was doubted
    _owing: _Watch | None = None
    _silent: _Watch | None = None

    def follow(self, primary: Source, backup: Source | None) -> None:
        """The plan has changed: a new source is compared from now on."""
        if primary is not self.primary:
            self._owing = self._silent = None
        if primary is not self.primary or backup is not self.backup:
            self.helper = None
        self.primary, self.backup = primary, backup

    def add(self, index: int) -> None:
        heapq.heappush(self.missing, index)

    def first_missing(self, is_missing: Callable[[int], bool]) -> int | None:
        while self.missing and not is_missing(self.missing[0]):
            heapq.heappop(self.missing)
        return self.missing[0] if self.missing else None

    def take_first(self) -> int:
        return heapq.heappop(self.missing)

    def chunk_came(self, source: Source, now: float) -> None:
        self.came += 1
        self.last_at = now
        if source is self.primary:
            self.came_of_primary += 1
            self._silent = None

    def begin_anew(self) -> None:
        """What was seen of its source until now does not count."""
        self._owing = self._silent = None

    def put_off(self, seconds: float) -> None:
        """So much of the time in which it was watched does not count."""
        self._owing, self._silent = (
            None if watch is None else replace(watch, since=watch.since + seconds)
            for watch in (self._owing, self._silent)
        )

    def owes_nothing(self) -> None:
        """Its source has sent all that it is known to have: a comparison begins anew when it has more."""
        self._owing = None

    def interval_s(self) -> float | None:
        """The mean time between two of its chunks, while it was under way."""
        return (self.last_at - self.began_at) / self.came if self.came else None

    def judge(self, others: Sequence[Stripe], wanted: bool, owed: bool, now: float) -> Verdict:
        """Compare with the stripes of other sources.

        `wanted`: something is outstanding at its source, `owed`: something that this is known to have.
        """
        if not others or not wanted:
            self._owing = self._silent = None
            return Verdict.FINE
        stuck = self._sends_nothing(others, now)
        verdict = self._judge_silence(others, now)
        if not owed:
            self._owing = None
        elif self._owing is None or len(self._owing.others) != len(others):
            self._owing = self._watch(others, now)
        elif now >= self._owing.since + config.slow_window_s * self.patience:
            came_of_others = _least_came(self._owing, others, now)
            if came_of_others >= config.slow_window_chunks:
                slow = 2 * (self.came_of_primary - self._owing.came) < came_of_others
                self._owing = self._watch(others, now)
                if slow:
                    verdict = Verdict.STUCK if stuck else Verdict.SLOW
        return verdict

    def _judge_silence(self, others: Sequence[Stripe], now: float) -> Verdict:
        if self._silent is None or len(self._silent.others) != len(others):
            self._silent = self._watch(others, now)
            return Verdict.FINE
        if now < self._silent.since + config.backup_silence_s * self.patience or not self._sends_nothing(others, now):
            return Verdict.FINE
        self._silent = None
        return Verdict.SILENT

    def _sends_nothing(self, others: Sequence[Stripe], now: float) -> bool:
        """Whether since its last chunk each of the others has brought several."""
        watch = self._silent
        if watch is None or len(watch.others) != len(others):
            return False
        return _least_came(watch, others, now) >= 2 * config.slow_window_chunks

    def _watch(self, others: Sequence[Stripe], now: float) -> _Watch:
        return _Watch(now, self.came_of_primary, tuple(other.came for other in others))


def _least_came(watch: _Watch, others: Sequence[Stripe], now: float) -> float:
    """What the slowest of the others has brought since; one that is complete counts with its mean rate."""
    return min(_came_since(watch, before, other, now) for before, other in zip(watch.others, others, strict=True))


def _came_since(watch: _Watch, before: int, other: Stripe, now: float) -> float:
    came = other.came - before
    if other.remaining or not other.came:
        return came
    idle_s = now - max(watch.since, other.last_at)
    interval_s = max(other.interval_s() or 0.0, 1e-6)
    return came + idle_s / interval_s
