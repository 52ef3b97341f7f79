"""Who may be given a copy, and which broadcasts are there?"""

from __future__ import annotations

from vine.names import FileId, HostId, ObjectId, PeerKey, WorkerId
from vine.scheduler.copies import Broadcast, Copies
from vine.scheduler.files import ObjectRecord

NONE: frozenset[WorkerId] = frozenset()


def names(text: str) -> frozenset[WorkerId]:
    return frozenset(WorkerId(name) for name in text.split())


def fleet(text: str) -> Copies:
    """Workers in the order in which they join; the first letter is the host."""
    copies = Copies()
    for name in text.split():
        copies.join(WorkerId(name), HostId(name[0]))
    return copies


def pick(copies: Copies, count: int, beside: str = "", here: str = "", barred: str = "", spread: bool = False) -> str:
    picked = copies.pick(count, names(beside), names(here), names(barred).__contains__, one_a_host=spread)
    return " ".join(picked)


def test_hosts_that_have_none_come_first_and_then_any() -> None:
    assert pick(fleet("a1 a2 b1 b2 c1"), 4) == "a1 b1 c1 a2"
    assert pick(fleet("a1 a2 b1"), 2, beside="a1") == "b1 a2"
    assert pick(fleet("a1"), 3) == "a1"


def test_one_a_host_stops_when_the_hosts_are_used_up() -> None:
    assert pick(fleet("a1 a2 b1 b2"), 4, spread=True) == "a1 b1"
    assert pick(fleet("a1 a2 b1"), 1, beside="a1 b1", spread=True) == ""


def test_those_that_have_it_already_come_before_those_that_do_not() -> None:
    assert pick(fleet("a1 a2 b1 c1"), 2, here="a2 c1 manager") == "a2 c1"


def test_those_that_would_not_take_it_are_passed_over() -> None:
    assert pick(fleet("a1 b1 c1"), 2, barred="a1") == "b1 c1"


def test_who_was_picked_waits_for_its_next_turn() -> None:
    copies = fleet("a1 b1 c1")
    assert [pick(copies, 2) for _ in range(3)] == ["a1 b1", "c1 a1", "b1 c1"]


def test_who_has_left_is_not_picked_and_its_host_is_gone() -> None:
    copies = fleet("a1 b1")
    copies.leave(WorkerId("a1"))
    assert pick(copies, 2, spread=True) == "b1"
    assert copies.left == ["a1"]
    copies.settled()
    assert not copies.left and not copies.joined


def broadcast(file: int, **fields: float) -> Broadcast:
    return Broadcast(PeerKey("client"), 1, FileId(file), "x", **fields)  # type: ignore[arg-type]


def test_the_broadcasts_of_an_object_are_those_of_its_files_until_they_are_over() -> None:
    copies = Copies()
    first, second, other = broadcast(1), broadcast(2), broadcast(3)
    for each in (first, second, other):
        copies.add(each)
    known = ObjectRecord(ObjectId("o"), None, "x", files={FileId(1), FileId(2)})
    assert copies.of(known) == [first, second]
    copies.remove(first)
    assert copies.of(known) == [second] and first.over
    assert copies.is_awaited(FileId(2)) and not copies.is_awaited(FileId(1))
    second.ended_at = 1.0
    assert not copies.is_awaited(FileId(2))


def test_the_rate_counts_what_came_before_the_end() -> None:
    copies = Copies()
    running = broadcast(1)
    running.flowing = ObjectId("o")
    copies.add(running)
    copies.received(ObjectId("o"), 100, 2.0)
    copies.received(ObjectId("o"), 100, 4.0)
    copies.received(ObjectId("o"), 100, 0.0)
    copies.received(ObjectId("p"), 100, 0.1)
    running.ended_at = 1.0
    copies.received(ObjectId("o"), 100, 0.1)
    assert (running.received_bytes, running.fastest) == (300, 50.0)
