"""The scheduler's steps are timed by what they are about."""

from __future__ import annotations

from benchmarks.scale.measured import MeasuredScheduler, reading_s
from benchmarks.scale.run import CLIENT, FACTORY
from vine.names import ClientId, HostId
from vine.wire import messages as m


def test_what_time_alone_causes_is_no_tasks_cost() -> None:
    at = iter(range(100))
    measured = MeasuredScheduler(lambda: float(next(at)))  # Each look at the clock finds it a second later.
    measured.handle(CLIENT, m.ClientHello(ClientId("c"), HostId("here"), "3.11"), 0.0)
    measured.handle(CLIENT, m.SubmitTasks(()), 0.0)
    measured.handle(FACTORY, m.FactoryStatus(0, 0), 0.0)
    measured.tick(1.0)
    measured.snapshot(1.0)
    assert measured.task_s == 2.0
    assert measured.standing_s == 3.0
    assert measured.steps == {"ClientHello": 1, "SubmitTasks": 1, "FactoryStatus": 1, "tick": 1, "snapshot": 1}


def test_what_the_clock_itself_takes_is_found_and_is_no_steps_cost() -> None:
    # given a clock that takes a second to look at
    at = iter(range(1_000_000))

    def clock() -> float:
        return float(next(at))

    found = reading_s(clock)
    assert found == 1.0
    # when a step takes no time beside that
    measured = MeasuredScheduler(clock, reading_s=found)
    measured.handle(CLIENT, m.ClientHello(ClientId("c"), HostId("here"), "3.11"), 0.0)
    # then it has taken none
    assert measured.task_s == 0.0
