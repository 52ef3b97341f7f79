from __future__ import annotations

from benchmarks.simulator.clock import Clock


def test_what_is_due_at_one_moment_happens_in_the_order_in_which_it_was_asked_for() -> None:
    clock, said = Clock(), list[str]()
    for name in "abc":
        clock.after(1.0, lambda name=name: said.append(name))  # type: ignore[misc]
    clock.after(0.5, lambda: clock.after(0.5, lambda: said.append("later asked")))
    clock.run()
    assert said == ["a", "b", "c", "later asked"]


def test_time_stands_where_the_last_event_was() -> None:
    clock, seen = Clock(), list[float]()
    clock.after(0.25, lambda: seen.append(clock.now()))
    clock.after(2.0, lambda: seen.append(clock.now()))
    assert not clock.run(end_s=1.0)
    assert seen == [0.25]
    clock.run()
    assert seen == [0.25, 2.0]


def test_nothing_happens_before_the_time_that_it_was_asked_for() -> None:
    clock, seen = Clock(), list[float]()
    awkward = [0.1 + 0.2, 1 / 3, 2 / 3, 1e-9 / 3, 123.456789123456]
    for time_s in awkward:
        clock.at(time_s, lambda: seen.append(clock.now()))
    clock.run()
    assert all(now >= time_s for now, time_s in zip(seen, sorted(awkward), strict=True))


def test_what_was_due_in_the_past_happens_now() -> None:
    clock, seen = Clock(), list[float]()
    clock.after(1.0, lambda: clock.at(0.5, lambda: seen.append(clock.now())))
    clock.run()
    assert seen == [1.0]


def test_a_run_ends_when_what_it_waits_for_holds() -> None:
    clock, seen = Clock(), list[float]()
    for second in range(5):
        clock.after(second, lambda: seen.append(clock.now()))
    assert clock.run(lambda: len(seen) == 2)
    assert seen == [0.0, 1.0]


def test_at_the_end_of_each_moment_there_is_a_call_that_may_ask_for_more_of_it() -> None:
    clock, said = Clock(), list[str]()

    def settle() -> None:
        said.append(f"settled at {clock.now():g}")
        if said.count("settled at 1") == 1:
            clock.after(0, lambda: said.append("one more"))

    clock.before_advance(settle)
    for name in "ab":
        clock.after(1.0, lambda name=name: said.append(name))  # type: ignore[misc]
    clock.run()
    assert said == ["settled at 0", "a", "b", "settled at 1", "one more", "settled at 1"]
