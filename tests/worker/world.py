"""The core of a worker by hand: what happened goes in, what is to be done comes out."""

from __future__ import annotations

from collections import Counter
from typing import Any

from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.parts import Assignment, AttemptResult, Outcome, Resources, TaskKind
from vine.wire.worker_messages import AttemptsEnded, RunAttempts
from vine_worker import actions as act
from vine_worker.core import WorkerCore

FUNCTION, DATA, TREE, ARCHIVE = (ObjectId(letter * 64) for letter in "fdea")
ONE, TWO = Resources(cores=1), Resources(cores=2)
FINE = act.Ending(Outcome.SUCCESS, value=b"P", run_s=0.001)


def assignment(number: int, kind: TaskKind = TaskKind.CALL, **fields: Any) -> Assignment:
    if kind is not TaskKind.COMMAND:
        fields.setdefault("function", FUNCTION)
    fields.setdefault("allotment", ONE)
    return Assignment(attempt=AttemptId(1, number), task_id=TaskId(number), kind=kind, **fields)


class World:
    """The core of a worker with two cores, and what it has said."""

    def __init__(
        self, held: tuple[ObjectId, ...] = (FUNCTION,), protected: bool = True, capacity: Resources = TWO
    ) -> None:
        self.core = WorkerCore(capacity, inputs_protected=protected)
        self.now = 0.0
        self.pinned: Counter[ObjectId] = Counter()
        self.rated: list[act.Rate] = []
        self.hear(*(act.Kept(key) for key in held))

    def hear(self, *events: Any) -> list[act.Action]:
        """What the core asks for; what it says of the store's budget is kept apart."""
        actions = []
        for event in events:
            self.pinned.update(self.core.claims(event))
            for action in self.core.handle(event, self.now):
                match action:
                    case act.Unpin(keys):
                        self.pinned.subtract(keys)
                        self.pinned = +self.pinned
                    case act.Rate():
                        self.rated.append(action)
                    case _:
                        actions.append(action)
        self.core.check()
        return actions

    def run(self, *assignments: Assignment) -> list[act.Action]:
        return self.hear(RunAttempts(assignments))

    def wait(self, seconds: float) -> list[act.Action]:
        self.now += seconds
        return self.core.tick(self.now)

    def outcomes(self) -> list[tuple[int, Outcome]]:
        """The attempts that have ended since, by number."""
        return [(result.attempt.counter, result.outcome) for result in self.results()]

    def results(self) -> list[AttemptResult]:
        sent = [action.message for action in self.core.flush() if isinstance(action, act.Send)]
        return [result for message in sent if isinstance(message, AttemptsEnded) for result in message.results]


def starts(actions: list[act.Action]) -> list[int]:
    return [action.assignment.attempt.counter for action in actions if isinstance(action, act.StartBody | act.RunCall)]
