"""Which command waits right behind one that runs, to start the moment that one ends, on its resources?

Between the end of a short command and the start of the next one the news would go to the worker and the order back,
and meanwhile the slot would idle. So the spawner is handed the next one ahead of time: one behind each that runs.
"""

from __future__ import annotations

import math

from vine import config
from vine.names import AttemptId
from vine_worker import actions as act
from vine_worker.attempts import Attempt, State
from vine_worker.board import Board

_EWMA_SHARE = 0.2  # of the newest body in how long one runs


class Successors:
    """The bodies that run, and the one that was handed behind each."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._running: dict[AttemptId, Attempt] = {}  # commands and interpreters, the longest first
        self._next: dict[AttemptId, Attempt] = {}  # by the one that it is behind
        self._recalled: set[AttemptId] = set()
        self._run_s = math.inf  # how long bodies have run here lately

    @property
    def waiting(self) -> bool:
        return bool(self._next)

    def started(self, attempt: Attempt) -> None:
        self._running[attempt.attempt_id] = attempt

    def hand(self, attempt: Attempt) -> bool:
        """Hands it behind one of as much resources, if they end soon.

        Not where inputs must be looked at before the next one may read them: that can be seen only when it starts.
        """
        if self._run_s > config.calls_ahead_s or (attempt.needs and not self._board.inputs_protected):
            return False
        for key, running in self._running.items():
            grant = running.grant
            assert grant is not None, "a body runs without resources"
            if (
                key not in self._next
                and grant.resources == attempt.assignment.allotment
                and running.stop is None
                and self._board.now < self._due_s(key)  # As it is asked back: else it might go to and fro.
            ):
                attempt.move(State.HANDED)
                self._next[key] = attempt
                self._board.actions.append(act.StartBody(attempt.assignment, grant, behind=key))
                return True
        return False

    def ended(self, attempt: Attempt) -> Attempt | None:
        """The body's end; the one behind it, which runs now and has its resources."""
        if self._running.pop(attempt.attempt_id, None) is None:
            self._leave(attempt)  # It could not be started.
            return None
        run_s = self._board.now - attempt.started_s
        self._run_s = run_s if self._run_s == math.inf else self._run_s + _EWMA_SHARE * (run_s - self._run_s)
        successor = self._next.pop(attempt.attempt_id, None)
        if successor is not None:
            self._recalled.discard(successor.attempt_id)  # It has begun: the news that it has not will not come.
            successor.grant, attempt.grant = attempt.grant, None
        return successor

    def returned(self, attempt: Attempt) -> None:
        """The spawner had not begun it."""
        self._leave(attempt)

    def _leave(self, attempt: Attempt) -> None:
        self._recalled.discard(attempt.attempt_id)
        for key, successor in list(self._next.items()):
            if successor is attempt:
                del self._next[key]

    def recall(self, attempt: Attempt) -> None:
        """Asks it back; answered by `BodyReturned`, unless the one before it ends first."""
        if attempt.attempt_id not in self._recalled:
            self._recalled.add(attempt.attempt_id)
            self._board.actions.append(act.TakeBackBody(attempt.attempt_id))

    def tick(self) -> None:
        for key, successor in self._next.items():
            if self._due_s(key) <= self._board.now:
                self.recall(successor)

    def next_deadline(self) -> float | None:
        waits = (key for key, successor in self._next.items() if successor.attempt_id not in self._recalled)
        return min(map(self._due_s, waits), default=None)

    def _due_s(self, key: AttemptId) -> float:
        """When the body turns out to be a long one, behind which nobody waits."""
        return self._running[key].started_s + config.calls_ahead_s

    def check(self) -> None:
        for key, successor in self._next.items():
            assert key in self._running, f"{successor.attempt_id} waits behind nobody"
            assert successor.state is State.HANDED, f"{successor.attempt_id} does not wait"
        handed = {successor.attempt_id for successor in self._next.values()}
        assert self._recalled <= handed, "what is asked back does not wait"
