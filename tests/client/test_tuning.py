"""Does what is tuned have its effect, and is what cannot be tuned told with what can?"""

from __future__ import annotations

from typing import Any

import pytest

from vine import errors
from vine.client.tuning import Tuning
from vine.wire.messages import AwaitWorkers, RunState


class Tuned(Tuning):
    """Of a run with three cores; keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Any] = []
        self.state = RunState(1, 3.0, {"running": 2, "waiting": 7}, 0, 0)
        self.open_count = 0
        self._session = self  # type: ignore[assignment]

    def say(self, message: Any) -> None:
        self.said.append(message)


def test_a_run_is_hungry_for_some_tasks_and_for_more_the_more_cores_it_has() -> None:
    tuned = Tuned()
    assert tuned.hungry() == 10
    tuned.tune("hungry-minimum", 1)
    assert tuned.hungry() == 6
    tuned.tune("hungry-minimum-factor", 1.5)
    assert tuned.hungry() == 5


def test_tasks_that_wait_still_its_hunger_and_those_on_workers_do_not() -> None:
    tuned = Tuned()
    tuned.open_count = 2 + 4
    assert tuned.hungry() == 6
    tuned.open_count = 2 + 40
    assert tuned.hungry() == 0


def test_the_manager_is_told_how_many_workers_to_wait_for() -> None:
    tuned = Tuned()
    tuned.tune("wait-for-workers", 4)
    assert tuned.said == [AwaitWorkers(4)]


def test_any_other_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(errors.UsageError) as told:
        Tuned().tune("attempt-schedule-depth", 100)
    for name in ("hungry-minimum", "hungry-minimum-factor", "temp-replica-count", "wait-for-workers"):
        assert repr(name) in str(told.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("hungry-minimum", -1), ("hungry-minimum", 1.5), ("temp-replica-count", 0), ("wait-for-workers", "two")],
)
def test_a_value_that_cannot_be_meant_is_refused(name: str, value: Any) -> None:
    with pytest.raises(errors.UsageError, match=f"'{name}' cannot be {value!r}"):
        Tuned().tune(name, value)
