from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.broadcast.waterfall import draw
from tests.benchmarks.broadcast.made import a_broadcast

PNG = b"\x89PNG"


@pytest.mark.parametrize("count", [1, 3])
def test_each_plan_has_a_panel(tmp_path: Path, count: int) -> None:
    sizes = []
    for plans in (count, count + 1):
        draw([a_broadcast(plan=f"plan {number}") for number in range(plans)], tmp_path / "out.png")
        data = (tmp_path / "out.png").read_bytes()
        assert data.startswith(PNG)
        sizes.append(int.from_bytes(data[20:24], "big"))
    assert sizes[1] * count == sizes[0] * (count + 1)


def test_one_without_a_bound_and_one_that_was_disturbed_are_drawn(tmp_path: Path) -> None:
    draw([a_broadcast(bound_s=None), a_broadcast(of_undisturbed=1.1, disturbance="x")], tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(PNG)
