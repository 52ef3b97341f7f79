"""What bodies do: each attempt's own, and always the same."""

from __future__ import annotations

import random

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults.behaviours import Behaviour, Behaviours
from benchmarks.simulator.faults.weather import Rates, Weather
from vine.names import AttemptId, TaskId
from vine.wire.parts import Assignment, Mount, Outcome, Resources, TaskKind


def behaviours(**rates: float) -> Behaviours:
    return Behaviours(Weather(Clock(), random.Random(1), Rates(**rates)))


def an_assignment(number: int) -> Assignment:
    return Assignment(
        AttemptId(1, number),
        TaskId(1),
        TaskKind.CALL,
        Resources(1),
        outputs=(Mount(5, "out"),),  # type: ignore[arg-type]
    )


def test_an_attempt_has_one_body_and_its_value_names_it() -> None:
    bodies = behaviours()
    bodies.of_task[TaskId(1)] = Behaviour(0.5, output_bytes=9)
    body = bodies.body(an_assignment(1))
    assert bodies.body(an_assignment(1)) is body and (body.value, body.output_bytes) == (b"1 1.1", {"out": 9})
    assert bodies.body(an_assignment(2)).value == b"1 1.2"


def test_some_attempts_fail_where_bodies_do() -> None:
    bodies = behaviours(body_failure_share=0.5)
    bodies.of_task[TaskId(1)] = Behaviour(0.5)
    outcomes = {bodies.body(an_assignment(number)).outcome for number in range(50)}
    assert Outcome.SUCCESS in outcomes and len(outcomes) == 5


def test_what_a_task_never_makes_none_of_its_bodies_makes() -> None:
    bodies = behaviours()
    bodies.of_task[TaskId(1)] = Behaviour(0.5, output_bytes=9, unmade=frozenset({"out"}))
    assert bodies.body(an_assignment(1)).output_bytes == {}
