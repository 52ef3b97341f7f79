"""Is the first size of a kind of tasks the best one, by what is meant with best?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine.scheduler.sizing import Uses

STEP = 50.0
Task = tuple[float, float]  # what it uses, and how long it runs

tasks_of_any_kind = st.lists(st.tuples(st.floats(0, 2000), st.floats(0.1, 100)), min_size=1, max_size=30)


def uses_of(tasks: list[Task]) -> Uses:
    uses = Uses(STEP)
    for amount, run_s in tasks:
        uses.add(amount, run_s)
    return uses


def needs(uses: Uses, tasks: list[Task]) -> list[Task]:
    """As the sizes see them: in whole steps."""
    return [(uses_of([task]).most(), task[1]) for task in tasks]


def wasted(tasks: list[Task], first: float, second: float) -> float:
    """Size times time of all runs; what a task truly uses of that is the same for all sizes."""
    return sum(first * run_s + (second * run_s if need > first else 0.0) for need, run_s in tasks)


def ended_per_s(tasks: list[Task], first: float, second: float) -> float:
    """Of tasks that have as much as one of the second size: beside each other where they fit, each run in turn."""
    ended = sum(second / first if need <= first else 1.0 for need, _ in tasks)
    return ended / sum(run_s if need <= first else 2 * run_s for need, run_s in tasks)


def sizes_up_to(most: float) -> list[float]:
    return [STEP * n for n in range(1, int(most / STEP) + 1)]


@given(tasks_of_any_kind, st.floats(1, 3))
def test_no_size_wastes_less_than_that_of_least_waste(tasks: list[Task], times: float) -> None:
    uses = uses_of(tasks)
    rounded, second = needs(uses, tasks), uses.most() * times
    best = wasted(rounded, uses.of_least_waste(second), second)
    assert all(wasted(rounded, size, second) >= best * (1 - 1e-9) for size in sizes_up_to(uses.most()))


@given(tasks_of_any_kind, st.floats(1, 3))
def test_with_no_size_do_more_tasks_end_a_second_than_with_that_of_most_throughput(
    tasks: list[Task], times: float
) -> None:
    uses = uses_of(tasks)
    rounded, second = needs(uses, tasks), uses.most() * times
    best = ended_per_s(rounded, uses.of_most_throughput(second), second)
    assert all(ended_per_s(rounded, size, second) <= best * (1 + 1e-9) for size in sizes_up_to(uses.most()))


def test_what_one_in_ten_needs_more_of_is_not_given_to_all() -> None:
    uses = uses_of([(190, 10)] * 9 + [(980, 10)])
    assert uses.of_most_throughput(1000) == uses.of_least_waste(1000) == 200


def test_what_most_need_is_given_to_all() -> None:
    uses = uses_of([(190, 10)] * 2 + [(300, 10)] * 8)
    assert uses.of_most_throughput(300) == uses.of_least_waste(300) == 300


def test_stopping_few_that_run_long_is_a_waste_and_lets_more_tasks_end_all_the_same() -> None:
    uses = uses_of([(190, 10)] * 9 + [(980, 1000)])
    assert uses.of_least_waste(1000) == 1000
    assert uses.of_most_throughput(1000) == 200


@pytest.mark.parametrize(("used", "enough"), [(0, 50), (1, 50), (50, 50), (52, 50), (53, 100), (999, 1000)])
def test_what_was_used_is_rounded_up_to_steps(used: float, enough: float) -> None:
    assert uses_of([(used, 1)]).most() == enough
