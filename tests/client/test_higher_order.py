"""Do functions over many values give what they give here, in as few calls as was asked for?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client.manager import Manager
from vine.wire.messages import SubmitTasks


def calls(scripted: ScriptedManager) -> int:
    return sum(len(message.tasks) for message in scripted.all(SubmitTasks))


def double(value: int) -> int:
    return 2 * value


def test_a_map_gives_its_values_in_order_by_chunks(scripted: ScriptedManager, manager: Manager) -> None:
    assert manager.map(double, range(10), chunksize=4) == [double(value) for value in range(10)]
    assert calls(scripted) == 3


def test_pairs_are_given_as_one_value_the_second_fastest(scripted: ScriptedManager, manager: Manager) -> None:
    assert manager.pair(sum, [10, 20], [1, 2], chunksize=2) == [11, 12, 21, 22]
    assert calls(scripted) == 2


@pytest.mark.parametrize(("count", "chunksize", "needed"), [(2, 2, 1), (5, 2, 6), (9, 3, 4), (4, 100, 1)])
def test_a_reduction_is_a_tree_of_lists(
    scripted: ScriptedManager, manager: Manager, count: int, chunksize: int, needed: int
) -> None:
    assert manager.tree_reduce(sum, range(count), chunksize) == sum(range(count))
    assert calls(scripted) == needed


def test_nothing_maps_to_nothing_and_one_value_is_its_own_reduction(manager: Manager) -> None:
    assert (manager.map(double, []), manager.pair(sum, [], [1]), manager.tree_reduce(sum, [7])) == ([], [], 7)
    with pytest.raises(errors.UsageError, match="of nothing has no value"):
        manager.tree_reduce(sum, [])


def test_what_a_function_raises_is_raised_or_told_by_who_waits_for_it(manager: Manager) -> None:
    with pytest.raises(ZeroDivisionError):
        manager.map(lambda value: 1 // value, [1, 0, 2])
    with pytest.raises(errors.DependencyFailed):
        manager.tree_reduce(lambda values: 1 // (len(values) - 2), [1, 2, 3, 4])


@pytest.mark.parametrize(("method", "wrong"), [("map", 0), ("map", True), ("tree_reduce", 1)])
def test_a_chunk_has_at_least_one_value_and_that_of_a_reduction_two(manager: Manager, method: str, wrong: Any) -> None:
    with pytest.raises(errors.UsageError, match=f"chunksize={wrong} is no number"):
        getattr(manager, method)(double, [1], chunksize=wrong)


def test_the_manager_is_as_usable_afterwards(manager: Manager) -> None:
    for _ in range(2):
        assert manager.map(double, [1]) == [2]
    assert not manager.closed and manager.empty()
