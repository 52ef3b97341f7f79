"""Are costs and lives added up as they are meant?"""

from __future__ import annotations

from benchmarks.fleet.outcome import Outcome


def test_a_worker_costs_its_life() -> None:
    outcome = Outcome(waits_s=[1.0, 3.0])
    outcome.lived(0.0, 3600.0)
    outcome.lived(0.0, 1800.0)
    assert (outcome.worker_hours, outcome.shortest_life_s, outcome.mean_wait_s) == (1.5, 1800.0, 2.0)
