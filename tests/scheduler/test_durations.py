"""What is learnt of durations says how many tasks are queued ahead of time, and does not waver."""

from __future__ import annotations

import pytest

from vine import config
from vine.scheduler.durations import Durations

TARGET_S = config.prefetch_target_s


@pytest.mark.parametrize(
    ("run_s", "ahead"),
    [(2 * TARGET_S, 0), (TARGET_S, 1), (TARGET_S / 3, 2), (TARGET_S / 9, 8), (0.0, config.prefetch_tasks_max)],
)
def test_as_many_are_queued_as_the_target_holds_rounded_to_a_power_of_two(run_s: float, ahead: int) -> None:
    durations = Durations()
    assert durations.ahead("body") == 0, "nothing is known of it"
    durations.observe("body", run_s)
    assert durations.ahead("body") == ahead


def test_a_mean_that_wavers_about_a_boundary_changes_nothing() -> None:
    # given tasks of which four fit
    durations = Durations()
    durations.observe("body", TARGET_S / 4)
    changes = durations.changes
    # when they take somewhat more and somewhat less
    for run_s in [TARGET_S / 3.2, TARGET_S / 5] * 20:
        durations.observe("body", run_s)
    # then as many as before are queued
    assert (durations.ahead("body"), durations.changes) == (4, changes)


def test_tasks_that_have_come_to_take_long_are_not_queued_ahead_any_more() -> None:
    durations = Durations()
    durations.observe("body", TARGET_S / 4)
    changes = durations.changes
    for _ in range(30):
        durations.observe("body", 10 * TARGET_S)
    assert durations.ahead("body") == 0
    assert durations.changes > changes


def test_what_was_seen_last_the_longest_time_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "durations_kept_max", 2)
    durations = Durations()
    for body in ("one", "two", "one", "three"):
        durations.observe(body, 0.0)
    changes = durations.changes
    assert [body for body in ("one", "two", "three") if durations.ahead(body)] == ["one", "three"]
    durations.observe("four", 10 * TARGET_S)
    assert durations.changes > changes, "who remembers how many of 'one' were to be queued must look again"
