"""Is what can be meant taken as it is meant, and what cannot be refused with the remedy?"""

from __future__ import annotations

from typing import Any

import pytest

from vine import errors
from vine.client import amounts


@pytest.mark.parametrize("name", ["", "/etc", "..", "../up", "a/../../up", "nul\0", ".", None])
def test_a_name_that_leaves_the_sandbox_is_refused(name: str) -> None:
    with pytest.raises(errors.UsageError, match="is no name for a file in a sandbox: use a relative path"):
        amounts.sandbox_name(name)


def test_a_name_is_taken_in_its_plainest_form() -> None:
    assert amounts.sandbox_name("./a//b/../c") == "a/c"


@pytest.mark.parametrize("value", [-1, 1.0, True, "3", None, 1 << 63])
def test_tries_are_counted(value: Any) -> None:
    with pytest.raises(errors.UsageError, match="is no number of more tries: give 0 or more"):
        amounts.retries(value)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), 2e9])
def test_a_priority_is_a_number(value: Any) -> None:
    with pytest.raises(errors.UsageError, match="give a number, of which higher ones go first"):
        amounts.priority(value)


def test_what_can_be_meant_is_taken() -> None:
    assert (amounts.retries(0), amounts.retries(7)) == (0, 7)
    assert (amounts.priority(-2), amounts.priority(0.5)) == (-2.0, 0.5)
    assert (amounts.amount("cores", 0), amounts.amount("gpus", 0.5), amounts.amount("gpus", 3)) == (0.0, 0.5, 3.0)
    assert amounts.name("tag", "a") == "a"


def test_a_time_of_the_clock_may_be_told_in_microseconds() -> None:
    assert amounts.epoch_seconds(1.8e9) == 1.8e9
    assert amounts.epoch_seconds(1_800_000_000_000_000) == 1.8e9
