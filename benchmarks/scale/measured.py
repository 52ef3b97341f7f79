"""How much processor time do the steps of the true scheduler take, by what they are about?"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable

from vine.names import PeerKey, RunId
from vine.scheduler.actions import Action
from vine.scheduler.core import Scheduler
from vine.scheduler.settings import Settings
from vine.wire.messages import FactoryStatus, Message
from vine.wire.worker_messages import WorkerStatus

_READINGS, _READING_ROUNDS = 10_000, 5
# What the manager does because time passes, whatever tasks there are. A snapshot is taken for the views.
STANDING = frozenset({WorkerStatus.__name__, FactoryStatus.__name__, "tick", "snapshot"})


class MeasuredScheduler:
    """The scheduler, each of whose steps is counted and timed. Processor time: neighbours do not add to it."""

    def __init__(self, clock: Callable[[], float] = time.thread_time, reading_s: float = 0.0) -> None:
        """`reading_s`: what the clock itself takes, of which each step would have one reading in it."""
        settings = Settings(
            run_id=RunId("scale"), epoch=1, run_dir="/run", staging_dir="/run/staging", host_id="here",
            run_secret=b"s" * 32, requests_endpoint="tcp://127.0.0.1:1", chunks_endpoint="tcp://127.0.0.1:2",
        )  # fmt: skip
        self.core = Scheduler(settings)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.steps: Counter[str] = Counter()
        self._clock, self._reading_s = clock, reading_s

    def handle(self, peer: PeerKey, message: Message, now: float) -> list[Action]:
        start_s = self._clock()
        todo = self.core.handle(peer, message, now)
        self._note(type(message).__name__, start_s)
        return todo

    def tick(self, now: float) -> list[Action]:
        start_s = self._clock()
        todo = self.core.tick(now)
        self._note("tick", start_s)
        return todo

    def snapshot(self, now: float) -> None:
        start_s = self._clock()
        self.core.snapshot(now)
        self._note("snapshot", start_s)

    def _note(self, kind: str, start_s: float) -> None:
        self.seconds[kind] += self._clock() - start_s - self._reading_s
        self.steps[kind] += 1

    @property
    def standing_s(self) -> float:
        return sum(seconds for kind, seconds in self.seconds.items() if kind in STANDING)

    @property
    def task_s(self) -> float:
        """All but what time alone causes: files, tasks, workers, and what flows between them."""
        return sum(self.seconds.values()) - self.standing_s


def reading_s(clock: Callable[[], float] = time.thread_time) -> float:
    """What it takes to look at the clock: the least of several means, for whatever disturbs adds to it."""
    return min(_mean_reading_s(clock) for _ in range(_READING_ROUNDS))


def _mean_reading_s(clock: Callable[[], float]) -> float:
    start_s = clock()
    for _ in range(_READINGS):
        clock()
    return (clock() - start_s) / (_READINGS + 1)
