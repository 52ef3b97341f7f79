"""What does a receiver know of one of its sources?"""

from __future__ import annotations

from tests.transfer.named import edge
from vine import config
from vine.transfer.credit import Credit
from vine.transfer.sources import Source

THREE = 3


def source_asked(*chunks: int, layout: int = 1) -> Source:
    source = Source(0, edge("a"), Credit())
    source.ask(chunks, layout, now=1.0)
    return source


def test_what_it_has_is_known_by_stripe() -> None:
    source = source_asked(0, 3, 6, 1, 4)
    source.sent(0, 6, THREE, 1, now=1.1)
    assert source.owes([3], THREE)
    assert not source.owes([6, 1, 4], THREE), "of the other stripe it has said nothing"


def test_a_source_with_the_whole_object_has_every_chunk() -> None:
    source = source_asked(0, 3)
    source.sent(0, None, THREE, 1, now=1.1)
    assert source.owes([3000], THREE)


def test_what_it_said_under_another_number_of_stripes_says_nothing() -> None:
    source = source_asked(0, 3, layout=1)
    source.sent(0, 9, stripes=1, layout=2, now=1.1)
    assert not source.owes([3], stripes=1)


def test_what_it_could_have_is_known_by_stripe_as_it_said_last() -> None:
    source = source_asked(0, 3, 1)
    source.sent(0, 3, THREE, 1, 1.1, owed=True)
    source.sent(1, 4, THREE, 1, 1.1, owed=False)
    assert source.owed == {0}
    source.sent(3, 6, THREE, 1, 1.2, owed=False)
    assert source.owed == set()


def test_only_what_was_asked_for_is_taken_from_it() -> None:
    source = source_asked(0)
    assert not source.sent(1, None, THREE, 1, 1.1)
    assert source.sent(0, None, THREE, 1, 1.1)
    assert not source.sent(0, None, THREE, 1, 1.2)


def test_what_was_cancelled_may_still_come_once() -> None:
    source = source_asked(0, 3)
    source.withdraw(0)
    assert source.give_up_wants() == [3]
    assert [source.sent(index, None, THREE, 1, 1.1) for index in (0, 3, 0)] == [True, True, False]


def test_a_source_that_may_lack_what_is_wanted_is_allowed_a_longer_silence() -> None:
    source = source_asked(0, 3)
    assert source.silent_at(THREE) == 1.0 + config.receiving_silence_s
    source.sent(0, 6, THREE, 1, now=2.0)
    assert source.silent_at(THREE) == 2.0 + config.edge_silence_s


def test_whoever_sends_something_is_neither_doubted_nor_busy_any_more() -> None:
    source = source_asked(0)
    source.doubted_at, source.busy_since = 1.0, 1.0
    assert source.falters
    source.sent(0, 1, THREE, 1, now=2.0)
    assert not source.falters and source.busy_since is None


def test_chunks_being_stored_count_as_outstanding_until_they_are() -> None:
    source = source_asked(0, 3)
    source.sent(0, 1, THREE, 1, now=2.0)
    assert source.outstanding == 2
    source.stored(0, now=2.1)
    assert source.outstanding == 1


def at_once(have: int | None, layout: int = 1) -> bool:
    """What a chunk tells of whether its source had it when it was asked."""
    source = source_asked(3, layout=1)
    source.sent(3, have, THREE, layout, now=2.0)
    return source.storing[3].at_once


def test_a_chunk_was_not_waited_for_if_its_source_has_more_already() -> None:
    assert at_once(9) and at_once(None)
    assert not at_once(6), "it may have come there just now"
    assert not at_once(9, layout=2), "it speaks of another stripe"


def test_a_chunk_that_was_cancelled_tells_no_delay() -> None:
    source = source_asked(0)
    source.withdraw(0)
    source.sent(0, None, THREE, 1, now=2.0)
    assert not source.storing[0].at_once
