"""The table and the figures tell medians, and ratios to the better of the two that count."""

from __future__ import annotations

import pytest
from rich.console import Console

from benchmarks.peers.comparison import Medians, figures, medians, table
from benchmarks.peers.interface import DASK, DASK_SET, PARSL, PEERS, VINE, Peer
from tests.benchmarks.peers.made import made_round

_POOL = PEERS[1]


def found() -> dict[Peer, Medians]:
    return {
        VINE: medians([made_round(10_000.0, latency_ms=0.5)]),
        _POOL: medians([made_round(20_000.0, latency_ms=0.1)]),
        DASK: medians([made_round(500.0, latency_ms=2.0, calls=50)]),
        PARSL: medians([made_round(1_000.0, latency_ms=4.0)]),
    }


def test_medians_are_over_the_rounds() -> None:
    of = medians([made_round(rate, latency_ms=rate / 10, startup_s=rate) for rate in (3.0, 1.0, 2.0)])
    assert (of.rounds, of.calls_per_s, of.latency_ms_median, of.startup_s) == (3, 2.0, 0.2, 2.0)
    assert of.latency_ms_p99 == pytest.approx(0.6)


def test_each_median_is_a_figure_with_its_system_and_its_calls() -> None:
    of_dask = [figure for figure in figures(found()) if figure.params.get("system") == DASK.name]
    assert {figure.name: figure.value for figure in of_dask} == {
        "calls_per_s": 500.0,
        "latency_ms_median": 2.0,
        "latency_ms_p99": 6.0,
        "startup_s": 0.5,
    }
    assert all(figure.params["calls"] == 50 for figure in of_dask)


def test_the_ratios_are_to_the_better_of_dask_and_parsl_alone() -> None:
    ratios = {figure.name: figure.value for figure in figures(found()) if figure.name.endswith("_of_better_peer")}
    assert ratios == {"calls_of_better_peer": 10.0, "latency_of_better_peer": 0.25}


def test_those_that_are_set_for_many_short_calls_have_a_ratio_of_their_own() -> None:
    of = {**found(), DASK_SET: medians([made_round(2_500.0, latency_ms=0.25)])}
    ratios = {figure.name: figure.value for figure in figures(of) if "_of_better_" in figure.name}
    assert (ratios["calls_of_better_peer"], ratios["calls_of_better_set_peer"]) == (10.0, 4.0)
    assert (ratios["latency_of_better_peer"], ratios["latency_of_better_set_peer"]) == (0.25, 2.0)


@pytest.mark.parametrize("missing", [{VINE}, {DASK, PARSL}])
def test_there_is_no_ratio_without_both_sides(missing: set[Peer]) -> None:
    some = {peer: of for peer, of in found().items() if peer not in missing}
    assert not [figure for figure in figures(some) if figure.name.endswith("_of_better_peer")]


def test_the_table_has_a_row_a_system_with_how_many_times_vine_is_better() -> None:
    with (console := Console(width=160)).capture() as captured:
        console.print(table(found()))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    assert rows == [
        ["vine 1.0", "10,000", "100", "1", "0.5", "1", "1.5", "0.5", "1"],
        ["ProcessPoolExecutor 1.0", "20,000", "100", "0.5", "0.1", "0.2", "0.3", "0.5", "1"],
        ["Dask distributed 1.0", "500", "50", "20", "2", "4", "6", "0.5", "1"],
        ["Parsl HTEX 1.0", "1,000", "100", "10", "4", "8", "12", "0.5", "1"],
    ]
