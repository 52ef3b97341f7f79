"""What can a node do in a second: its processors hash, its disk reads and writes, its threads wait for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from benchmarks.simulator.clock import Clock
from vine.errors import VineError
from vine.transfer.jobs import Jobs

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Speeds:
    """Of one node, in bytes a second."""

    up: float = 1.25e9
    down: float = 1.25e9
    hashing: float = 1.5e9
    disk: float = 2e9
    unpacking: float = 0.4e9  # of what comes out

    def slower(self, factor: float) -> Speeds:
        """A node whose links are so many times slower."""
        return replace(self, up=self.up / factor, down=self.down / factor)


class Server:
    """Something that does one thing after the other, in the order in which it is asked."""

    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self.free_at = 0.0

    def take(self, amount: float, now: float) -> float:
        """When it will have done this, if it is asked now."""
        if not amount:
            return now
        self.free_at = max(now, self.free_at) + amount / self.per_s
        return self.free_at


class Machine:
    """The processors and the disk of one node.

    What a job does to files and hashes is counted while it is called, in no time, and then takes its time.
    """

    def __init__(self, clock: Clock, speeds: Speeds) -> None:
        self.clock = clock
        self.speeds = speeds
        self.alive = True
        self.hashing = Server(speeds.hashing)
        self.disk = Server(speeds.disk)
        self.hashed = 0  # bytes, by the job that is being called
        self.moved = 0  # bytes from or to the disk, by that job

    def time_of(self, job: Callable[[], object]) -> float:
        """Call the job; returns when it will have ended: what it reads or writes is hashed first."""
        self.hashed = self.moved = 0
        job()
        return self.disk.take(self.moved, self.hashing.take(self.hashed, self.clock.now()))


class Outcome:
    """What became of a job, as a future tells it."""

    __slots__ = ("_error", "_value")

    def __init__(self, job: Callable[[], Any]) -> None:
        self._value, self._error = None, None
        try:
            self._value = job()
        except (VineError, OSError, KeyError) as error:  # As stores raise; anything else is our own mistake.
            self._error = error

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


class SimulatedJobs(Jobs):
    """Threads of a machine that take jobs in order."""

    def __init__(self, machine: Machine, threads: int) -> None:
        self._machine = machine
        self._free = threads
        self._waiting: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self.running = 0

    def run(self, job: Callable[[], Result], done: Callable[[Future[Result]], None]) -> None:
        self.running += 1
        if self._free:
            self._free -= 1
            self._start(job, done)
        else:
            self._waiting.append((job, done))

    def close(self) -> None:
        self._waiting.clear()

    def _start(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        outcome: list[Outcome] = []
        end_s = self._machine.time_of(lambda: outcome.append(Outcome(job)))
        self._machine.clock.at(end_s, lambda: self._ended(outcome[0], done))

    def _ended(self, outcome: Outcome, done: Callable[[Any], None]) -> None:
        if not self._machine.alive:
            return
        self.running -= 1
        if self._waiting:
            self._start(*self._waiting.popleft())
        else:
            self._free += 1
        done(outcome)
