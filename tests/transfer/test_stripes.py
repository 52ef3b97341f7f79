"""Is a source slow: by the other stripes of the same child, over the same time, for what it has?"""

from __future__ import annotations

from tests.transfer.named import edge
from vine import config
from vine.transfer.credit import Credit
from vine.transfer.sources import Source
from vine.transfer.stripes import Stripe, Verdict


def stripes(patience: float = 1.0) -> list[Stripe]:
    return [
        Stripe(number, Source(number, edge(name), Credit()), None, 1000, 0.0, patience)
        for number, name in enumerate("abc")
    ]


def run(
    all_of: list[Stripe], rates: tuple[float, ...], seconds: float, owed: bool = True, start: float = 0.0
) -> list[tuple[float, Verdict]]:
    """Let chunks come at these rates (a second), and judge the first stripe each hundredth of a second."""
    verdicts = []
    for tick in range(int(seconds * 100)):
        now = start + tick / 100
        verdicts.append((now, all_of[0].judge(all_of[1:], True, owed, now)))
        for stripe, rate in zip(all_of, rates, strict=True):
            for _ in range(int((tick + 1) * rate / 100) - int(tick * rate / 100)):
                stripe.chunk_came(stripe.primary, now)
    return [(now, verdict) for now, verdict in verdicts if verdict is not Verdict.FINE]


def test_less_than_half_the_rate_of_the_others_is_slow_after_the_window() -> None:
    [first, *_] = run(stripes(), (90, 200, 200), seconds=0.5)
    assert first == (config.slow_window_s, Verdict.SLOW)


def test_where_patience_is_asked_for_sources_have_so_many_times_as_long() -> None:
    [first, *_] = run(stripes(patience=4), (90, 200, 200), seconds=0.5)
    assert first == (4 * config.slow_window_s, Verdict.SLOW)
    [(at, verdict), *_] = run(stripes(patience=4), (0, 200, 200), seconds=5, owed=False)
    assert verdict is Verdict.SILENT and at >= 4 * config.backup_silence_s


def test_more_than_half_is_not() -> None:
    assert run(stripes(), (110, 200, 200), seconds=5) == []


def test_the_slowest_of_the_others_is_the_measure() -> None:
    assert run(stripes(), (60, 1000, 100), seconds=5) == []


def test_the_window_lasts_until_the_others_have_brought_enough() -> None:
    [(at, verdict), *_] = run(stripes(), (1, 10, 10), seconds=5)
    assert verdict is Verdict.SLOW
    assert at >= config.slow_window_chunks / 10


def test_who_sends_nothing_at_all_is_stuck() -> None:
    [(at, verdict), *_] = run(stripes(), (0, 500, 500), seconds=0.5)
    assert (at, verdict) == (config.slow_window_s, Verdict.STUCK)
    [(_, verdict), *_] = run(stripes(), (50, 500, 500), seconds=0.5)
    assert verdict is Verdict.SLOW


def test_who_lacks_what_is_wanted_is_not_slow_but_silent_in_the_end() -> None:
    assert {verdict for _, verdict in run(stripes(), (20, 200, 200), seconds=5, owed=False)} == set()
    [(at, verdict), *_] = run(stripes(), (0, 200, 200), seconds=5, owed=False)
    assert verdict is Verdict.SILENT and at >= config.backup_silence_s


def test_what_slows_all_is_nobodys_fault() -> None:
    assert run(stripes(), (0, 0, 0), seconds=20) == []


def test_a_stripe_that_is_complete_counts_with_the_rate_that_it_had() -> None:
    all_of = stripes()
    run(all_of, (100, 100, 100), seconds=1)
    for stripe in all_of[1:]:
        stripe.remaining = 0
    [(at, verdict), *_] = run(all_of, (25, 0, 0), seconds=1, start=1.0)
    assert verdict is Verdict.SLOW and at < 1.2


def test_a_new_source_is_not_judged_by_what_its_predecessor_did() -> None:
    all_of = stripes()
    run(all_of, (0, 200, 200), seconds=0.04)
    all_of[0].follow(Source(3, edge("d"), Credit()), None)
    [(at, _), *_] = run(all_of, (0, 200, 200), seconds=0.3, start=0.04)
    assert at == 0.04 + config.slow_window_s


def test_alone_there_is_nobody_to_compare_with() -> None:
    [stripe, _, _] = stripes()
    assert stripe.judge([], True, True, 9.0) is Verdict.FINE


def test_what_has_come_meanwhile_is_not_missing() -> None:
    [stripe, _, _] = stripes()
    for index in (9, 0, 3):
        stripe.add(index)
    assert stripe.first_missing(lambda index: index != 0) == 3
    assert stripe.take_first() == 3
    assert stripe.first_missing(lambda index: False) is None
