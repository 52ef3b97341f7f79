"""Faults strike at their rates, until they are to stop."""

from __future__ import annotations

from dataclasses import fields

import pytest

from benchmarks.simulator.faults.injector import Injector
from benchmarks.simulator.faults.weather import Rates
from tests.benchmarks.simulator.faults.cluster_world import ClusterWorld

RATES = [field.name for field in fields(Rates) if not field.name.endswith("_share")]
SEEN = {
    "partitions": "both",
    "one_way_partitions": "one way",
    "worker_crashes": "is killed",
    "manager_crashes": "the manager is killed",
    "client_crashes": "the client ends",
    "factory_crashes": "factory-1 ends",
}


@pytest.mark.parametrize("kind", RATES)
def test_a_fault_with_a_rate_strikes_about_so_often_and_stops_when_it_is_told(kind: str) -> None:
    world = ClusterWorld(with_factory=kind == "factory_crashes")
    setattr(world.cluster.weather.rates, kind, 1.0)
    injector = Injector(world.cluster)
    world.wait(30.0)
    assert 10 < injector.faults < 60
    assert SEEN.get(kind, "") in "".join(world.cluster.trace.lines or [])
    injector.stop()
    before = injector.faults
    world.wait(5.0)
    assert injector.faults == before


def test_where_no_fault_has_a_rate_none_strikes() -> None:
    world = ClusterWorld()
    injector = Injector(world.cluster)
    world.wait(30.0)
    assert injector.faults == 0
