from __future__ import annotations

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.trace import Trace


def a_digest(*events: tuple[float, str]) -> str:
    clock = Clock()
    trace = Trace(clock)
    for time_s, word in events:
        clock.after(time_s, lambda word=word: trace.note(word, 1))  # type: ignore[misc]
    clock.run()
    return trace.digest()


def test_equal_runs_have_equal_digests_and_others_have_not() -> None:
    run = a_digest((1.0, "a"), (2.0, "b"))
    assert run == a_digest((1.0, "a"), (2.0, "b"))
    assert run != a_digest((1.0, "a"), (2.0, "c"))
    assert run != a_digest((1.0, "a"), (2.000000001, "b"))
    assert run != a_digest((1.0, "b"), (2.0, "a"))


def test_the_records_are_kept_if_asked_for() -> None:
    trace = Trace(Clock(), keep=True)
    trace.note("w0", "is killed")
    assert trace.lines == ["0 w0 is killed\n"]
    assert trace.count == 1
