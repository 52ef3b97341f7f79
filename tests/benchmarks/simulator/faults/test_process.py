"""The clock of one process: its own time, its stops, and its end."""

from __future__ import annotations

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults.process import Process


def test_it_shows_a_time_of_its_own_and_keeps_its_appointments_by_that() -> None:
    clock, seen = Clock(), list[float]()
    process = Process(clock, 0.1)
    process.at(0.1 + 1 / 3, lambda: seen.append(process.now()))
    clock.run()
    assert seen and seen[0] >= 0.1 + 1 / 3 and abs(clock.now() - 1 / 3) < 1e-6


def test_what_falls_due_while_it_stands_still_happens_in_order_when_it_goes_on() -> None:
    clock, done = Clock(), list[tuple[str, float]]()
    process = Process(clock, 5.0)
    process.stand_still(2.0)
    for name, delay_s in (("b", 1.0), ("a", 0.5), ("c", 3.0)):
        process.after(delay_s, lambda name=name: done.append((name, clock.now())))  # type: ignore[misc] # mypy takes the default for a parameter
    clock.run()
    assert done == [("a", 2.0), ("b", 2.0), ("c", 3.0)]


def test_nothing_happens_after_its_end() -> None:
    clock, done = Clock(), list[str]()
    process = Process(clock, 0.0)
    process.after(1.0, lambda: done.append("late"))
    process.kill()
    clock.run()
    assert not done
