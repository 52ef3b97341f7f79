"""What do the rooms of the worker's core share: the attempts, what they hold, and what is to be done?"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from vine import config
from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.parts import AttemptResult, Outcome, Resources
from vine.wire.worker_messages import FromWorker, ObjectsEvicted
from vine_worker import actions as act
from vine_worker.attempts import Attempt, State, result_of
from vine_worker.inventory import Inventory
from vine_worker.resources import Grant, Ledger

Kill = act.KillBody | act.EndHost | act.EndLibrary


class Board:
    """The state that is common to all rooms, and the steps of an attempt's life that several of them take."""

    def __init__(self, capacity: Resources, inputs_protected: bool) -> None:
        self.now = 0.0
        self.actions: list[act.Action] = []
        self.ledger = Ledger(capacity)
        self.library_grants: dict[int, Grant] = {}  # held while a library is loaded, by its instance
        self.inventory = Inventory()
        self.attempts: dict[AttemptId, Attempt] = {}
        self.ready: list[tuple[int, AttemptId]] = []  # by arrival; entries of attempts that moved on are skipped
        self.limits: list[tuple[float, AttemptId]] = []
        self.kills: list[tuple[float, int, Kill]] = []
        self.started: list[AttemptId] = []  # not told yet
        self.results: list[AttemptResult] = []  # not told yet
        self.task_of: dict[AttemptId, TaskId] = {}  # of ended attempts, until the manager's journal has their ends
        self.under_check: Counter[ObjectId] = Counter()  # inputs of ended attempts that may have been altered
        # What ended attempts and unpackings have needed, and how many of them; not told yet.
        self.unpinned: defaultdict[tuple[ObjectId, ...], int] = defaultdict(int)
        self.use_due_s = math.inf  # when what runs is measured next
        self.idle_since_s = 0.0  # when the last attempt ended
        self.inputs_protected = inputs_protected
        self._counter = 0

    def count(self) -> int:
        """A number that is larger than all before."""
        self._counter += 1
        return self._counter

    def send(self, message: FromWorker) -> None:
        self.actions.append(act.Send(message))

    def remove(self, object_ids: Iterable[ObjectId]) -> None:
        """The manager is told, too: the order may have crossed the news that they had come, which it then believes."""
        removable = tuple(object_ids)
        if removable:
            self.actions.append(act.RemoveObjects(removable))
            self.send(ObjectsEvicted(removable))

    # --- an attempt's life ---

    def make_ready(self, attempt: Attempt) -> None:
        attempt.move(State.READY)
        attempt.staged_s = attempt.staged_s or self.now
        heapq.heappush(self.ready, (attempt.order, attempt.attempt_id))

    def take_back(self, attempt: Attempt) -> None:
        """It was handed on and has not begun: it waits here again, or for what has been lost meanwhile."""
        if attempt.stop is not None:
            self.finish(attempt, None)
            return
        attempt.missing = self.inventory.use(attempt.attempt_id, attempt.needs)
        if attempt.missing:
            attempt.move(State.STAGING)
        else:
            self.make_ready(attempt)

    def count_time(self, attempt: Attempt) -> None:
        """Its body runs from now on."""
        attempt.started_s = self.now
        self.started.append(attempt.attempt_id)
        if self.use_due_s == math.inf:
            self.use_due_s = self.now + config.use_interval_s
        if attempt.assignment.time_limit_s is not None:
            heapq.heappush(self.limits, (limit_of(attempt), attempt.attempt_id))

    def ended(self, attempt: Attempt, ending: act.Ending) -> None:
        """The body is over; what it left is collected before its result goes out."""
        attempt.ending = ending
        attempt.ended_s = self.now
        attempt.host = None
        if attempt.plain and ending.value_path is None:
            self.finish(attempt, None)
            return
        attempt.move(State.COLLECTING)
        if not self.inputs_protected:
            self.under_check.update(mount.object_id for mount in attempt.assignment.inputs)
        wanted = attempt.stop is None
        succeeded = wanted and ending.outcome is Outcome.SUCCESS
        measured = self.now - attempt.started_s >= config.measured_run_s_min
        cancelled = attempt.stop is Outcome.CANCELLED
        collect = act.Collect(attempt.assignment, succeeded, ending.value_path, wanted, measured, not cancelled)
        self.actions.append(collect)

    def checked(self, attempt: Attempt) -> None:
        """Its inputs are as they were, or out of the store."""
        if not self.inputs_protected:
            self.under_check -= Counter(mount.object_id for mount in attempt.assignment.inputs)

    def finish(self, attempt: Attempt, collected: act.Collected | None) -> None:
        """The attempt's one result goes out."""
        attempt.move(State.ENDED)
        if attempt.ending is None:
            attempt.ending = act.Ending(attempt.stop or Outcome.CANCELLED)
        del self.attempts[attempt.attempt_id]
        self.unpinned[attempt.needs] += 1
        self.remove(self.inventory.release(attempt.attempt_id, attempt.needs))
        self.results.append(result_of(attempt, collected, self.now))
        self.task_of[attempt.attempt_id] = attempt.assignment.task_id
        self.idle_since_s = self.now

    def kill(self, kill: Kill, force: Kill, at_once: bool) -> None:
        """Asks it to end, and makes it when its time of grace is over; or makes it at once."""
        if at_once:
            self.actions.append(force)
            return
        self.actions.append(kill)
        heapq.heappush(self.kills, (self.now + config.stop_grace_s, self.count(), force))

    def check(self) -> None:
        """Asserts what must hold between any two events."""
        self.ledger.check()
        ready = {attempt_id for _order, attempt_id in self.ready}
        for attempt_id, attempt in self.attempts.items():
            running_alone = attempt.state is State.RUNNING and attempt.host is None
            assert (attempt.grant is not None) == running_alone, f"{attempt_id} holds what it does not use"
            assert attempt.state is not State.READY or attempt_id in ready, f"{attempt_id} is forgotten"
            assert attempt.state is not State.STAGING or attempt.missing, f"{attempt_id} waits for nothing"
            assert (attempt.state in (State.READY, State.HANDED, State.RUNNING)) <= (not attempt.missing)
        if not self.attempts and not self.library_grants:
            assert self.ledger.idle, "resources leak"


def limit_of(attempt: Attempt) -> float:
    """When its time is over."""
    limit_s = attempt.assignment.time_limit_s
    return math.inf if limit_s is None or not attempt.started_s else attempt.started_s + limit_s
