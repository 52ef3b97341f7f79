from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine.views.curves import curve, histogram, quantile

_times = st.floats(-5, 15, allow_nan=False)


@given(st.lists(st.tuples(_times, st.floats(-10, 10))), st.integers(1, 20))
def test_a_curve_ends_at_the_sum_of_its_changes_and_keeps_the_area_below_it(
    changes: list[tuple[float, float]], points: int
) -> None:
    found = curve(changes, 0.0, 10.0, points)
    assert found.lasts[-1] == pytest.approx(sum(by for _, by in changes), abs=1e-6)
    area = sum(by * (10.0 - min(max(at_s, 0.0), 10.0)) for at_s, by in changes)
    assert sum(found.means) * 10.0 / points == pytest.approx(area, abs=1e-6)


def test_a_stretch_has_the_mean_and_the_last_of_what_was_in_it() -> None:
    found = curve([(0.0, 1), (2.5, 1), (4.0, -2)], 0.0, 4.0, 2)
    assert (found.means, found.lasts) == ((1.0, 1.75), (1.0, 0.0))


@given(st.lists(st.floats(0, 1e6), max_size=50).map(sorted), st.integers(1, 20))
def test_every_value_is_in_a_bin(values: list[float], bins: int) -> None:
    assert sum(histogram(values, bins).counts) == len(values)


def test_a_few_large_values_do_not_squeeze_all_others_into_one_bin() -> None:
    found = histogram([*range(1, 1000), 1_000_000], 10)
    assert found.highest == 995 and min(found.counts) > 90


def test_a_quantile_is_one_of_the_values() -> None:
    assert [quantile([1, 2, 3, 4], share) for share in (0.0, 0.5, 0.75, 1.0)] == [1, 2, 3, 4]
    assert quantile([], 0.5) == 0.0
