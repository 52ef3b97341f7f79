"""Does the window of an edge follow what the edge can do?"""

from __future__ import annotations

import heapq
import random

import pytest

from vine import config
from vine.transfer.credit import Credit


def window_of(rate: float, delay_s: float, chunks: int, at_once: bool = True, jitter_s: float = 0.0) -> float:
    """The mean window, over the second half, of a receiver that always wants all that it may."""
    credit, dice = Credit(), random.Random(1)
    now, free_at, outstanding, windows = 0.0, 0.0, 0, []
    coming: list[tuple[float, float]] = []
    for _ in range(chunks):
        while outstanding < credit.chunks:
            free_at = max(free_at, now) + 1 / rate
            heapq.heappush(coming, (free_at + delay_s + dice.uniform(0, jitter_s), now))
            outstanding += 1
        now, asked_at = heapq.heappop(coming)
        outstanding -= 1
        credit.stored(asked_at, at_once, now)
        windows.append(credit.chunks)
    half = windows[chunks // 2 :]
    return sum(half) / len(half)


def test_it_begins_with_eight_a_stripe() -> None:
    assert (Credit().chunks, Credit(stripes=2).chunks) == (config.credit_chunks, 2 * config.credit_chunks)
    assert Credit(stripes=9).chunks == config.credit_chunks_max


def test_a_long_fast_edge_is_given_all_that_there_is() -> None:
    assert window_of(rate=1000, delay_s=0.1, chunks=2000) > 0.8 * config.credit_chunks_max


def test_a_short_slow_edge_is_given_little() -> None:
    assert window_of(rate=20, delay_s=0.001, chunks=2000) < config.credit_chunks / 2


@pytest.mark.parametrize("product", [2, 4, 6, 8])
def test_the_window_is_about_twice_what_is_on_the_way(product: int) -> None:
    window = window_of(rate=100 * product, delay_s=0.01, chunks=4000)
    assert product < window <= 3 * product + 2


def test_it_stays_between_its_bounds_whatever_the_edge_does() -> None:
    for rate, delay_s, jitter_s in ((1, 0.0, 0.0), (1e6, 10.0, 0.0), (100, 0.01, 0.5)):
        window = window_of(rate, delay_s, chunks=500, jitter_s=jitter_s)
        assert config.credit_chunks_min / 2 <= window <= config.credit_chunks_max


def test_on_a_busy_machine_it_does_not_starve_the_edge() -> None:
    """Chunks that come at odd times need more on the way, not less."""
    assert window_of(rate=1000, delay_s=0.002, chunks=4000, jitter_s=0.02) >= config.credit_chunks


def test_a_source_that_waits_for_chunks_itself_tells_nothing_about_the_way() -> None:
    assert window_of(rate=50, delay_s=0.0, chunks=500, at_once=False) == config.credit_chunks


def after_batches(credit: Credit, *at_once: bool, delay_s: float, batches: int = 1) -> int:
    """The window after batches of chunks that come one a millisecond, of which these were not waited for by turns."""
    for number in range(batches * config.credit_batch_chunks):
        now = number / 1000
        credit.stored(now - delay_s, at_once[number % len(at_once)], now)
    return credit.chunks


def test_a_source_that_begins_to_have_more_than_is_asked_for_is_asked_for_more() -> None:
    assert after_batches(Credit(), True, False, False, False, delay_s=0.02) > config.credit_chunks


def test_a_batch_of_which_the_source_lacked_some_does_not_narrow_the_window() -> None:
    """What waits there for one stripe would take the room of the others."""
    assert after_batches(Credit(), True, False, delay_s=0.001, batches=4) == config.credit_chunks
    assert after_batches(Credit(), True, delay_s=0.001, batches=4) < config.credit_chunks


def test_a_single_chunk_that_was_waited_for_does_not_hold_the_window_open() -> None:
    assert after_batches(Credit(), *[True] * 15, False, delay_s=0.001, batches=4) < config.credit_chunks


def test_too_few_chunks_that_were_not_waited_for_tell_nothing() -> None:
    assert after_batches(Credit(), True, *[False] * 15, delay_s=0.02) == config.credit_chunks
