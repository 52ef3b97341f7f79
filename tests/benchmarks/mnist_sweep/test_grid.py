"""The grid has the paper's size, and small sweeps see all of it."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.mnist_sweep.grid import AXES, SIZE, combination, draw


def test_the_grid_has_exactly_2048_different_combinations() -> None:
    assert SIZE == 2048
    assert len({tuple(combination(number).items()) for number in range(SIZE)}) == 2048


def test_every_combination_names_a_value_of_each_axis() -> None:
    assert all(
        chosen[name] in AXES[name] for number in range(SIZE) for chosen in [combination(number)] for name in AXES
    )


def test_the_largest_draw_is_the_whole_grid() -> None:
    assert sorted(draw(SIZE)) == list(range(SIZE))


def test_a_larger_draw_holds_the_smaller_one() -> None:
    assert draw(100)[:32] == draw(32)


@pytest.mark.parametrize("tasks", [32, 64, 128, 256])
def test_a_draw_takes_each_value_of_an_axis_about_equally_often(tasks: int) -> None:
    for name, values in AXES.items():
        counts = Counter(combination(number)[name] for number in draw(tasks))
        assert all(abs(counts[value] - tasks / len(values)) <= 1 for value in values), (name, counts)


@pytest.mark.parametrize("tasks", [0, SIZE + 1])
def test_a_draw_that_the_grid_cannot_give_is_refused(tasks: int) -> None:
    with pytest.raises(ValueError, match="1 to 2048"):
        draw(tasks)
