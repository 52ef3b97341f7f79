"""The memory of queued calls is measured with all of them queued and journalled."""

from __future__ import annotations

import pytest

from benchmarks.scale import queued


@pytest.mark.parametrize("keeps_up", [True, False])
def test_every_call_counts(keeps_up: bool) -> None:
    held, peak, cost = queued.figures(3000, keeps_up)
    assert [figure.name for figure in (held, peak, cost)] == [
        "manager_bytes_per_call", "manager_bytes_per_call_peak", "core_us_per_submitted",
    ]  # fmt: skip
    assert held.params["queued"] == 3000
    assert peak.value >= held.value - 100  # Neither is much in a process in which other tests have run.
    assert cost.value > 0
