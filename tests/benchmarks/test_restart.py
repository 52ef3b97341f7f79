from __future__ import annotations

import pytest

from benchmarks.restart import measure

pytestmark = pytest.mark.live


def test_nothing_is_lost_and_nothing_runs_twice() -> None:
    found = {figure.name: figure.value for figure in measure(200)}
    assert found.pop("restart_s") > 0
    assert found == {"restart_tasks_lost": 0, "restart_wrong_results": 0, "restart_bodies_again": 0}
