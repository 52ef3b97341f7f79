"""What may go wrong in this run, how often, and which ways are closed at present?"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields

from benchmarks.simulator.clock import Clock


@dataclass(slots=True)
class Rates:
    """Of each kind of fault: how often a second in the whole run, or (`..._share`) which share of what may have it."""

    resets: float = 0.0  # of a connection
    partitions: float = 0.0  # between two parts of the cluster, both ways
    one_way_partitions: float = 0.0
    worker_crashes: float = 0.0
    worker_stops: float = 0.0  # it stands still for a while
    manager_crashes: float = 0.0
    manager_stops: float = 0.0
    client_crashes: float = 0.0
    client_stops: float = 0.0
    client_goodbyes: float = 0.0  # It leaves in order, with all that it has submitted.
    factory_crashes: float = 0.0
    evictions: float = 0.0  # of an object that may go for room
    rots: float = 0.0  # a bit flips in an object on a disk
    clock_jumps: float = 0.0  # of the manager's wall clock
    late_share: float = 0.0  # of messages, and up to so many times the latency
    doubled_share: float = 0.0  # of messages
    flipped_share: float = 0.0  # of chunks on their way
    disk_full_share: float = 0.0  # of objects that begin to come, and of writes
    body_failure_share: float = 0.0  # of attempts
    altering_share: float = 0.0  # of bodies of their own: they write into an input
    host_death_share: float = 0.0  # of calls, in the middle
    download_failure_share: float = 0.0
    slow_commit_share: float = 0.0  # of the journal's
    library_failure_share: float = 0.0  # of loads
    short_life_share: float = 0.0  # of workers: their batch system ends them, and they know when


_MOST = Rates(
    resets=0.5, partitions=0.05, one_way_partitions=0.05, worker_crashes=0.15, worker_stops=0.1, manager_crashes=0.2,
    manager_stops=0.03, client_crashes=0.15, client_stops=0.05, client_goodbyes=0.05, factory_crashes=0.05,
    evictions=1.0, rots=0.2, clock_jumps=0.2, late_share=0.1, doubled_share=0.1, flipped_share=0.05,
    disk_full_share=0.1, body_failure_share=0.4, altering_share=0.05, host_death_share=0.1,
    download_failure_share=0.3, slow_commit_share=1.0, library_failure_share=0.3, short_life_share=0.5,
)  # fmt: skip
_ABSENT = 0.6  # The share of kinds of faults that a seed does not have: many bugs need that others do not get ahead.
_CALM = 0.05  # ... and of seeds that have none at all.
_LATE_S = 0.5  # A message that is late is late by up to so much.


def rates_of(dice: random.Random) -> Rates:
    """Of each kind none, or something between a twentieth and all of the most that is sensible."""
    rates = Rates()
    calm = dice.random() < _CALM
    for field in fields(Rates):
        absent, share = dice.random() < _ABSENT, 20 ** -dice.random()
        if not (calm or absent):
            setattr(rates, field.name, getattr(_MOST, field.name) * share)
    return rates


class Weather:
    """The dice of everything that goes wrong, until `clear`."""

    def __init__(self, clock: Clock, dice: random.Random, rates: Rates) -> None:
        self._clock = clock
        self.dice = dice
        self.rates = rates
        self._closed: Counter[tuple[str, str]] = Counter()
        self.on_opened: Callable[[], None] = lambda: None

    @property
    def is_calm(self) -> bool:
        return self.rates == Rates()

    def clear(self) -> None:
        """From now on nothing goes wrong any more, and all ways are open."""
        self.rates = Rates()
        self._closed.clear()
        self.on_opened()

    def strikes(self, share: float) -> bool:
        return share > 0 and self.dice.random() < share

    def delay_s(self) -> float:
        """How much later than usual a message is."""
        return self.dice.random() * _LATE_S if self.strikes(self.rates.late_share) else 0.0

    # --- partitions ---

    def close(self, ways: list[tuple[str, str]], seconds: float) -> None:
        """Nothing gets from the first to the second of each of these for so long."""
        self._closed.update(ways)
        self._clock.after(seconds, lambda: self._open(ways))

    def _open(self, ways: list[tuple[str, str]]) -> None:
        for way in ways:
            if self._closed[way] > 0:
                self._closed[way] -= 1
        self.on_opened()

    def is_closed(self, source: str, target: str) -> bool:
        return bool(self._closed) and self._closed[source, target] > 0
