"""A service that is shared fairly, and a page cache that a node fills once."""

from __future__ import annotations

import pytest

from benchmarks.mnist_sweep.simulate.filesystem import FairShare, Mount, SharedFilesystem
from benchmarks.simulator.clock import Clock


class Ends:
    """When each of the named was done."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at: dict[str, float] = {}

    def note(self, name: str) -> None:
        self.at[name] = self.clock.now()


def test_two_who_ask_at_once_share_what_there_is() -> None:
    clock = Clock()
    ends, service = Ends(clock), FairShare(clock, 10.0)
    service.take(10.0, lambda: ends.note("short"))
    service.take(20.0, lambda: ends.note("long"))
    clock.run()
    # Each has 5 a second until the short one ends after 2 s; then the long one has 10.
    assert ends.at == pytest.approx({"short": 2.0, "long": 3.0})


def test_who_comes_later_slows_down_who_is_there() -> None:
    clock = Clock()
    ends, service = Ends(clock), FairShare(clock, 10.0)
    service.take(10.0, lambda: ends.note("first"))
    clock.after(0.5, lambda: service.take(10.0, lambda: ends.note("second")))
    clock.run()
    # The first had 5 alone and gets the other 5 at 5 a second; then the second has 5 left for itself.
    assert ends.at == pytest.approx({"first": 1.5, "second": 2.0})


def test_others_take_their_share_and_ask_for_more_for_ever() -> None:
    clock = Clock()
    ends, service = Ends(clock), FairShare(clock, 10.0, others=4.0)
    service.take(10.0, lambda: ends.note("ours"))
    clock.run()
    assert ends.at == pytest.approx({"ours": 5.0})


def test_nobody_gets_more_than_a_node_can_take() -> None:
    clock = Clock()
    ends, service = Ends(clock), FairShare(clock, 10.0, each_per_s=2.0)
    service.take(10.0, lambda: ends.note("ours"))
    clock.run()
    assert ends.at == pytest.approx({"ours": 5.0})


def test_equal_work_asked_for_at_once_ends_at_once_in_its_order() -> None:
    clock = Clock()
    done: list[int] = []
    service = FairShare(clock, 7.0)
    for number in range(100):
        service.take(3.0, lambda number=number: done.append(number))  # type: ignore[misc]  # its own number
    clock.run()
    assert done == list(range(100))
    assert clock.now() == pytest.approx(100 * 3.0 / 7.0)


def test_the_pages_come_once_to_a_node_and_all_its_tasks_wait_for_them() -> None:
    clock = Clock()
    ends = Ends(clock)
    shared = SharedFilesystem(FairShare(clock, 100.0), FairShare(clock, 10.0), opened_bytes=20.0)
    here, elsewhere = Mount(shared), Mount(shared)
    for name in ("a", "b"):
        here.start_task(100.0, lambda name=name: ends.note(name))  # type: ignore[misc]  # its own name
    clock.after(10.0, lambda: here.start_task(100.0, lambda: ends.note("late")))
    clock.after(20.0, lambda: elsewhere.start_task(100.0, lambda: ends.note("elsewhere")))
    clock.run()
    # 2 x 100 look-ups at 100 a second, then 20 bytes once at 10 a second; later only the look-ups.
    assert ends.at == pytest.approx({"a": 4.0, "b": 4.0, "late": 11.0, "elsewhere": 23.0})
