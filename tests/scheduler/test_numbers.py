from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from vine.scheduler.numbers import Numbers

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)).map(lambda at: (at[0], at[0] + at[1])))


@given(RANGES)
def test_a_number_is_among_them_if_a_range_holds_it(ranges: list[tuple[int, int]]) -> None:
    meant = {number for first, last in ranges for number in range(first, last + 1)}
    numbers = Numbers(ranges)
    assert {number for number in range(-1, 70) if number in numbers} == meant


@given(RANGES)
def test_its_ranges_are_as_few_as_can_be(ranges: list[tuple[int, int]]) -> None:
    joined = Numbers(ranges).ranges
    assert all(later[0] > earlier[1] + 1 for earlier, later in itertools.pairwise(joined))
    assert Numbers(joined).ranges == joined
