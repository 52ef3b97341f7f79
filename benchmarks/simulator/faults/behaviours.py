"""What do the bodies of a run do: each attempt has one of its own, and always the same one?"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.simulator.bodies import Body
from benchmarks.simulator.faults.weather import Weather
from vine.names import AttemptId, TaskId
from vine.wire.parts import Assignment, Outcome, TaskKind

_FAILURES = (Outcome.EXCEPTION, Outcome.KILLED, Outcome.DISK_FULL, Outcome.EXIT_CODE)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the body of a task does each time that it runs."""

    run_s: float
    value_bytes: int = 0
    output_bytes: int = 0
    memory_mb: float = 0.0
    unmade: frozenset[str] = frozenset()  # outputs that it never makes
    alike: str = ""  # What it makes is the same each time, and as what all make of which this is said; "": never.


@dataclass(frozen=True, slots=True)
class FaultyBody(Body):
    """One that uses memory, and may write into an input as it ends."""

    memory_mb: float = 0.0
    alters: bool = False
    alike: str = ""


class Behaviours:
    """The bodies of all tasks of a run."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self.of_task: dict[TaskId, Behaviour] = {}
        self._bodies: dict[AttemptId, FaultyBody] = {}

    def body(self, assignment: Assignment) -> FaultyBody:
        body = self._bodies.get(assignment.attempt)
        if body is None:
            body = self._bodies[assignment.attempt] = self._make(assignment)
        return body

    def _make(self, assignment: Assignment) -> FaultyBody:
        behaviour, weather = self.of_task[assignment.task_id], self._weather
        outcome = Outcome.SUCCESS
        if weather.strikes(weather.rates.body_failure_share):
            outcome = weather.dice.choice(_FAILURES)
        names = [mount.name for mount in assignment.outputs if mount.name not in behaviour.unmade]
        return FaultyBody(
            run_s=behaviour.run_s,
            outcome=outcome,
            value=f"{assignment.task_id} {assignment.attempt}".encode(),
            value_bytes=0 if assignment.kind is TaskKind.COMMAND else behaviour.value_bytes,
            output_bytes=dict.fromkeys(names, behaviour.output_bytes),
            memory_mb=behaviour.memory_mb,
            alike=behaviour.alike,
            alters=weather.strikes(weather.rates.altering_share),
        )
