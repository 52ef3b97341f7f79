"""Who talks to the batch system, which may take its time: a thread that makes one call after the other."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vine import config
from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers.interface import Launcher, LaunchFailed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submitted:
    worker_ids: tuple[WorkerId, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    worker_ids: tuple[WorkerId, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What the batch system has of ours, and who was there before and is not any more, with its last words."""

    jobs: Mapping[WorkerId, JobState]
    ended: Mapping[WorkerId, str]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """It did not say what it has, or did not end what it was asked to; that is tried again."""

    message: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A mistake of ours has ended the thread: the factory cannot go on."""

    mistake: BaseException


Event = Submitted | Refused | Listed | Unanswered | Broken


class BatchThread:
    """Does what it is told in that order, looks at the batch system every so often, and posts what came of it."""

    def __init__(self, launcher: Launcher, cycle_s: float, post: Callable[[Event], None]) -> None:
        self.cycle_s = cycle_s
        self._launcher = launcher
        self._post = post
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._there: set[WorkerId] = set()  # as far as the batch system has told
        self._leaving: set[WorkerId] = set()  # those of them that it was asked to end
        self._look_at = time.monotonic()  # when it is looked at next
        self._next_pause_s = cycle_s
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="vine-batch-system", daemon=True)
        self._thread.start()

    # --- for the factory's loop ------------------------------------------------------------------

    def submit(self, worker_ids: Sequence[WorkerId]) -> None:
        self._orders.put(lambda: self._submit(tuple(worker_ids)))

    def cancel(self, worker_ids: Sequence[WorkerId]) -> None:
        self._orders.put(lambda: self._cancel(set(worker_ids)))

    def look(self) -> None:
        """Something has happened: look at once."""
        self._orders.put(self._look_now)

    def close(self) -> set[WorkerId]:
        """End all jobs, and return those that are not gone after `config.batch_release_max_s`."""
        self._orders.put(self._release_all)
        self._thread.join()
        if not self._ended:  # The thread is broken: what can be ended is ended all the same.
            self._release_all()
        self._launcher.close()
        return self._there

    # --- on the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as mistake:  # noqa: BLE001 - whatever it is, the loop raises it
            self._post(Broken(mistake))

    def _work(self) -> None:
        while not self._ended:
            try:
                order = self._orders.get(timeout=max(0.0, self._look_at - time.monotonic()))
            except queue.Empty:
                self._look()
            else:
                order()

    def _submit(self, worker_ids: tuple[WorkerId, ...]) -> None:
        self._look_soon()
        try:
            self._launcher.submit(worker_ids)
        except LaunchFailed as why:
            self._post(Refused(worker_ids, str(why)))
            self._look_now()  # What did not answer in time may have taken them all the same.
        else:
            self._there.update(worker_ids)
            self._post(Submitted(worker_ids))

    def _cancel(self, worker_ids: set[WorkerId]) -> None:
        self._leaving |= worker_ids
        self._look_soon()
        try:
            self._launcher.cancel(sorted(self._leaving))
        except LaunchFailed as why:
            self._post(Unanswered(str(why)))

    def _look_soon(self) -> None:
        self._next_pause_s = config.batch_look_first_s
        self._look_at = min(self._look_at, time.monotonic() + self._next_pause_s)

    def _look_now(self) -> None:
        self._look_at = time.monotonic()

    def _look(self) -> bool:
        """Ask what there is, and soon again after something was done. Returns whether there was an answer."""
        self._next_pause_s = min(2 * self._next_pause_s, self.cycle_s)
        self._look_at = time.monotonic() + self._next_pause_s
        try:
            jobs = self._launcher.query()
        except LaunchFailed as why:
            self._post(Unanswered(str(why)))
            return False
        gone = sorted(self._there - jobs.keys())
        self._there = set(jobs)
        self._leaving &= self._there
        self._post(Listed(jobs, {worker_id: self._launcher.last_words(worker_id) for worker_id in gone}))
        if self._leaving:
            self._cancel(set())  # It was told to; who has not heard is told again.
        return True

    def _release_all(self) -> None:
        self._ended = True
        give_up_at = time.monotonic() + config.batch_release_max_s
        while True:
            answered = self._look()
            if (answered and not self._there) or time.monotonic() > give_up_at:
                return
            if self._there - self._leaving:  # Those who leave already have been told so again by the look.
                self._cancel(set(self._there))
            time.sleep(config.batch_release_look_s)  # No batch system tells when a job has gone: it is asked.
