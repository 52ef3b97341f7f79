"""What a seed has of faults, and which ways it closes."""

from __future__ import annotations

import random
from dataclasses import astuple

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults.weather import Rates, Weather, rates_of


def weather(**rates: float) -> Weather:
    return Weather(Clock(), random.Random(1), Rates(**rates))


def test_most_seeds_have_some_kinds_of_faults_and_none_has_all() -> None:
    kinds = [sum(rate > 0 for rate in astuple(rates_of(random.Random(seed)))) for seed in range(300)]
    assert 0 in kinds and max(kinds) < len(astuple(Rates())) and sum(kinds) / 300 > 4


def test_each_kind_of_fault_is_there_without_each_other_one() -> None:
    """Else one that ends a run early might hide another for ever."""
    seeds = [astuple(rates_of(random.Random(seed))) for seed in range(300)]
    pairs = {(a, b) for rates in seeds for a, x in enumerate(rates) for b, y in enumerate(rates) if x and not y}
    n = len(astuple(Rates()))
    assert len(pairs) == n * (n - 1)


def test_a_way_is_closed_for_its_time_and_the_way_back_is_not() -> None:
    here = Clock()
    weather = Weather(here, random.Random(1), Rates())
    weather.close([("a", "b")], 2.0)
    weather.close([("a", "b")], 3.0)
    assert weather.is_closed("a", "b") and not weather.is_closed("b", "a")
    here.run(end_s=2.5)
    assert weather.is_closed("a", "b"), "another one still holds"
    here.run(end_s=3.5)
    assert not weather.is_closed("a", "b")


def test_when_it_clears_all_ways_are_open_and_nothing_strikes() -> None:
    told = []
    sky = weather(late_share=1.0)
    sky.on_opened = lambda: told.append(1)
    sky.close([("a", "b")], 9.0)
    assert sky.delay_s() > 0 and not sky.is_calm
    sky.clear()
    assert told and sky.is_calm and sky.delay_s() == 0 and not sky.is_closed("a", "b")
