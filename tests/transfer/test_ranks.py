"""Ranks follow what nodes have shown, by powers of two, and blame nobody for what others explain."""

from __future__ import annotations

from vine import config
from vine.names import ObjectId, WorkerId
from vine.transfer.ranks import LAST, Ranks

SIZE = 100 << 20
A, B, C, D, SLOW = (WorkerId(name) for name in ("a", "b", "c", "d", "slow"))
OBJECTS = [ObjectId(digit * 64) for digit in "0123"]


def usual(ranks: Ranks, *sources: WorkerId, seconds: float = 1.0) -> None:
    """Some transfers as they usually are, to receivers that nothing else is known of."""
    for number in range(9):
        ranks.transferred(sources or (A, B, C), WorkerId(f"r{number}"), SIZE, seconds)


def test_of_whom_nothing_is_known_the_rank_is_usual() -> None:
    ranks = Ranks()
    assert ranks.rank(A) == 0
    usual(ranks)
    assert ranks.rank(D) == 0


def test_a_rank_is_a_power_of_two_below_or_above_what_is_usual() -> None:
    ranks = Ranks()
    usual(ranks)
    for seconds, rank in ((1.9, 0), (0.6, 0), (2.0, 1), (4.5, 2), (0.5, -1), (100.0, 3), (0.001, -3)):
        node = WorkerId(f"of {seconds}")
        ranks.transferred((node,), WorkerId(f"receiver {seconds}"), SIZE, seconds)
        assert ranks.rank(node) == rank


def test_noise_changes_no_rank() -> None:
    ranks = Ranks()
    for number in range(60):
        ranks.transferred((A, B, C), WorkerId(f"r{number}"), SIZE, 1 + 0.3 * (number % 3 - 1))
    assert [ranks.rank(node) for node in (A, B, C)] == [0, 0, 0]


def test_the_best_that_a_node_has_shown_of_late_counts() -> None:
    ranks = Ranks()
    usual(ranks)
    ranks.transferred((SLOW,), WorkerId("x"), SIZE, 4.0)
    assert ranks.rank(SLOW) == 2
    ranks.transferred((SLOW,), WorkerId("y"), SIZE, 1.0)
    assert ranks.rank(SLOW) == 0
    for number in range(8):
        ranks.transferred((SLOW,), WorkerId(f"z{number}"), SIZE, 4.0)
    assert ranks.rank(SLOW) == 2


def test_a_source_that_got_it_no_faster_itself_is_not_blamed() -> None:
    # given a slow node that feeds b
    ranks = Ranks()
    usual(ranks, A)
    ranks.transferred((SLOW,), B, SIZE, 4.0)
    # when b feeds c
    ranks.transferred((B,), C, SIZE, 4.1)
    # then the slow node alone is ranked lower
    assert (ranks.rank(SLOW), ranks.rank(B)) == (2, 0)


def test_a_receiver_that_is_always_slow_says_nothing_of_its_sources() -> None:
    ranks = Ranks()
    usual(ranks, A)
    ranks.transferred((B,), SLOW, SIZE, 4.0)
    assert ranks.rank(B) == 2  # Nobody knows yet whose fault it is.
    ranks.transferred((C,), SLOW, SIZE, 4.0)
    assert ranks.rank(C) == 0


def test_short_transfers_say_nothing() -> None:
    ranks = Ranks()
    usual(ranks)
    ranks.transferred((SLOW,), D, config.rate_bytes_min - 1, 10.0)
    ranks.transferred((SLOW,), D, SIZE, 0.0)
    assert ranks.rank(SLOW) == 0


def test_what_a_node_has_sent_may_raise_it_and_never_lowers_it() -> None:
    ranks = Ranks()
    usual(ranks, A)
    for at_s, sent in enumerate((0, SIZE // 100, 5 * SIZE, 5 * SIZE)):
        ranks.has_sent(B, sent, float(at_s))
        ranks.has_sent(A, sent // 100, float(at_s))
    assert (ranks.rank(A), ranks.rank(B)) == (0, -2)


def test_a_node_that_is_slow_for_many_objects_is_last_until_these_are_forgotten() -> None:
    ranks = Ranks()
    for object_id in OBJECTS[: config.slow_objects_max - 1]:
        ranks.was_slow(SLOW, object_id)
        ranks.was_slow(SLOW, object_id)
    assert ranks.rank(SLOW) == 0
    ranks.was_slow(SLOW, OBJECTS[-1])
    assert ranks.rank(SLOW) == LAST
    ranks.forget(object_id=OBJECTS[0])
    assert ranks.rank(SLOW) == 0


def test_what_was_known_of_a_node_that_has_left_is_forgotten() -> None:
    ranks = Ranks()
    usual(ranks)
    ranks.transferred((SLOW,), D, SIZE, 4.0)
    for object_id in OBJECTS:
        ranks.was_slow(SLOW, object_id)
    ranks.forget(node=SLOW)
    assert ranks.rank(SLOW) == 0
