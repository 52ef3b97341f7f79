"""Is what a program asks of its run as a whole told in full, and is nonsense refused?"""

from __future__ import annotations

from typing import Any

import pytest

from vine import errors
from vine.client.policies import Policies
from vine.wire.messages import SetCategory, SetHosts
from vine.wire.parts import CategoryMode, CategorySpec, HostStanding, Request


class Said(Policies):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self._categories = {}
        self._session = self  # type: ignore[assignment]

    def say(self, message: Any) -> None:
        self.said.append(message)


def test_each_word_about_a_category_is_added_to_those_before() -> None:
    policies = Said()
    policies.set_category_mode("fit", "max")
    policies.set_category_resources_max("fit", {"cores": 2, "memory": 4000, "disk": 100, "gpus": 1})
    policies.set_category_first_allocation_guess("fit", {"memory": 500})
    policies.set_category_max_concurrent("fit", 3)
    policies.set_category_resources_min("fit", {"cores": 1})
    most, first, least = Request(2, 4000, 100, 1), Request(memory_mb=500), Request(cores=1)
    assert policies.said[-1] == SetCategory(CategorySpec("fit", CategoryMode.MAX, most, first, 3, least))


@pytest.mark.parametrize("name", ["max throughput", "max_throughput"])
def test_modes_may_be_written_as_they_are_in_other_programs(name: str) -> None:
    policies = Said()
    policies.set_category_mode("fit", name)
    assert policies.said == [SetCategory(CategorySpec("fit", CategoryMode.MAX_THROUGHPUT))]


def test_nonsense_about_a_category_is_refused_with_what_may_be_given() -> None:
    policies = Said()
    with pytest.raises(errors.UsageError, match="one of 'fixed', 'max', 'max throughput', 'min waste'"):
        policies.set_category_mode("fit", "bucketing")
    with pytest.raises(errors.UsageError, match="no resources 'ram': give cores, memory, disk, gpus"):
        policies.set_category_resources_max("fit", {"ram": 1})
    with pytest.raises(errors.UsageError, match="None are no resources: give a mapping"):
        policies.set_category_resources_min("fit", None)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="no number of tasks"):
        policies.set_category_max_concurrent("fit", -1)
    with pytest.raises(errors.UsageError, match="no name of a category"):
        policies.set_category_mode("", "max")
    assert not policies.said


def test_a_category_cannot_be_given_more_than_it_may_have() -> None:
    policies = Said()
    policies.set_category_resources_max("fit", {"cores": 2, "memory": 500})
    said = list(policies.said)
    with pytest.raises(errors.UsageError, match="minimum of memory of category 'fit', 900, is above its maximum, 500"):
        policies.set_category_resources_min("fit", {"memory": 900})
    with pytest.raises(errors.UsageError, match="first guess of cores of category 'fit', 3, is above its maximum, 2"):
        policies.set_category_first_allocation_guess("fit", {"cores": 3})
    assert policies.said == said
    policies.set_category_resources_min("fit", {"memory": 500, "disk": 900})
    with pytest.raises(errors.UsageError, match="raise the maximum"):
        policies.set_category_resources_max("fit", {"memory": 499})


def test_whether_tasks_are_killed_for_exceeding_their_figures_can_be_said_in_taskvines_words() -> None:
    policies = Said()
    policies.enable_monitoring(watchdog=False)
    assert policies.enforce_resources is False
    policies.enable_monitoring()
    assert policies.enforce_resources is True


def test_hosts_are_closed_and_opened_by_their_names() -> None:
    policies = Said()
    policies.block_host("node7")
    policies.block_host_with_timeout("node7", 60)
    policies.unblock_host()
    policies.set_draining_by_hostname("node7")
    policies.set_draining_by_hostname("node7", False)
    assert policies.said == [
        SetHosts(("node7",), HostStanding.BLOCKED),
        SetHosts(("node7",), HostStanding.BLOCKED, 60.0),
        SetHosts((), HostStanding.OPEN),
        SetHosts(("node7",), HostStanding.DRAINING),
        SetHosts(("node7",), HostStanding.OPEN),
    ]


def test_nonsense_about_hosts_is_refused() -> None:
    policies = Said()
    with pytest.raises(errors.UsageError, match="no hostname"):
        policies.block_host("")
    with pytest.raises(errors.UsageError, match="no time in seconds"):
        policies.block_host_with_timeout("node7", -1)
    assert not policies.said
