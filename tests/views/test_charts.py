from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vine.views.charts import Line, bars, lines, ticks
from vine.views.curves import histogram


@given(st.floats(1e-6, 1e12), st.integers(2, 10))
def test_an_axis_has_round_numbers_up_to_what_it_shows(highest: float, about: int) -> None:
    found = ticks(highest, about)
    assert found[0] == 0 and found[-2] < highest <= found[-1] * (1 + 1e-6)
    assert len(found) <= about + 2
    assert f"{found[1]:.0e}"[0] in "125"


@example([[5e-324]], 1.0)
@given(st.lists(st.lists(st.floats(0, 1e9), max_size=30), max_size=4), st.floats(1e-3, 1e6))
def test_lines_stay_within_their_picture(heights: list[list[float]], width: float) -> None:
    picture = lines("t", [Line(f"line {n}", h) for n, h in enumerate(heights)], width, "seconds", "things")
    root = ElementTree.fromstring(picture)
    points = [pair for path in root.iter("path") for pair in re.findall(r"[-\d.]+,[-\d.]+", path.get("d", ""))]
    for x, y in (map(float, point.split(",")) for point in points):
        assert 0 <= x <= 560 and 0 <= y <= 220


def test_bars_are_as_high_as_their_counts() -> None:
    root = ElementTree.fromstring(bars("t", histogram([0.1, 0.1, 0.9, 1.0], 2, 1.0), "seconds", "tasks"))
    left, right = (float(bar.get("height", "0")) for bar in root.iter("rect"))
    assert left == pytest.approx(right) and left > 100


def test_names_are_text_whatever_they_look_like() -> None:
    name = "<script>alert('&')</script>"
    root = ElementTree.fromstring(lines(name, [Line(name, [1.0])], 1.0, name, name))
    assert not list(root.iter("script"))
    assert [text.text for text in root.iter("text")].count(name) == 4
