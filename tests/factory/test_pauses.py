"""When may more be launched, after trouble and within the user's limit?"""

from __future__ import annotations

from vine import config
from vine_factory.pauses import Pauses


def allowed(pauses: Pauses, now: float, per_cycle: int | None = None, unanswered: int = 0) -> int:
    return pauses.allowed(unanswered, per_cycle, 10.0, now)


def test_a_wave_doubles_the_pause_once_and_a_later_one_again() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.trouble(launched_at=0.0, now=1.0)
    assert pauses.not_before == 1.0 + config.launch_backoff_s
    pauses.trouble(launched_at=2.0, now=3.0)
    assert pauses.not_before == 3.0 + 2 * config.launch_backoff_s


def test_the_pause_has_an_end() -> None:
    pauses = Pauses()
    for time_s in range(2, 2000, 2):
        pauses.trouble(launched_at=time_s - 1.0, now=float(time_s))
    assert pauses.not_before == 1998.0 + config.launch_backoff_max_s
    assert allowed(pauses, 1998.0 + config.launch_backoff_max_s) == config.launch_batch_max


def test_what_is_forgiven_begins_anew() -> None:
    pauses = Pauses()
    pauses.trouble(0.0, 1.0)
    pauses.trouble(2.0, 3.0)
    pauses.tell("no such key", 3.0)
    pauses.forgive(launched_at=3.0)
    assert (pauses.troubles, pauses.words) == (2, "no such key")
    pauses.forgive(launched_at=3.1)
    assert (pauses.troubles, pauses.words) == (0, "")
    pauses.trouble(10.0, 11.0)
    assert pauses.not_before == 11.0 + config.launch_backoff_s


def test_after_a_refusal_half_as_many_go_and_after_each_success_twice_as_many() -> None:
    pauses = Pauses()
    pauses.refused(100)
    assert allowed(pauses, 0.0) == 50
    assert allowed(pauses, 0.0, unanswered=50) == 0
    pauses.accepted(50)
    assert allowed(pauses, 0.0) == 100
    for _ in range(20):
        pauses.refused(allowed(pauses, 0.0))
    assert allowed(pauses, 0.0) == 1


def test_a_cycle_begins_with_its_first_launch() -> None:
    pauses = Pauses()
    assert allowed(pauses, 5.0, per_cycle=3) == 3
    pauses.launched(2, 10.0, 5.0)
    assert allowed(pauses, 14.9, per_cycle=3) == 1
    pauses.launched(1, 10.0, 14.9)
    assert pauses.over_at(3, 10.0) == 15.0
    assert allowed(pauses, 15.0, per_cycle=3) == 3


def test_without_trouble_or_limit_nothing_is_waited_for() -> None:
    assert Pauses().over_at(None, 10.0) is None
