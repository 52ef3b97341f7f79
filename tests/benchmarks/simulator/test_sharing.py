"""Rates that are found by following changes are those that are found by starting anew."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulator.sharing import Flow, Link, Sharing


def _set(flow: Flow, rate: float) -> None:
    flow.rate = rate


def fair_rates(flows: list[Flow]) -> list[float]:
    """Max-min fair rates by filling: all rise together, and a flow stops where a link of its is full."""
    rates = [0.0] * len(flows)
    links = {link for flow in flows for link in (flow.up, flow.down)}
    rising = set(range(len(flows)))
    while rising:
        step, full = math.inf, None
        for link in sorted(links, key=lambda link: link.name):
            mine = [n for n, flow in enumerate(flows) if link in (flow.up, flow.down)]
            growing = [n for n in mine if n in rising]
            if growing:
                room = (link.bytes_per_s - sum(rates[n] for n in mine)) / len(growing)
                if room < step:
                    step, full = room, link
        for n in rising:
            rates[n] += step
        rising = {n for n in rising if full not in (flows[n].up, flows[n].down)}
    return rates


NODES = 5
capacities = st.lists(st.sampled_from([1.0, 2.0, 3.0, 10.0]), min_size=2 * NODES, max_size=2 * NODES)
pairs = st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1))
changes = st.lists(st.one_of(pairs, st.integers(0, 20)), min_size=1, max_size=30)


@settings(max_examples=300)
@given(capacities, changes, st.booleans())
def test_rates_are_max_min_fair_after_any_changes(
    capacity: list[float], todo: list[tuple[int, int] | int], each: bool
) -> None:
    # given five nodes with links of any rates
    ups = [Link(f"up {n}", capacity[n]) for n in range(NODES)]
    downs = [Link(f"down {n}", capacity[NODES + n]) for n in range(NODES)]
    sharing, flows = Sharing(), list[Flow]()
    # when flows start and stop, and rates are found after each change or after all of them
    for change in todo:
        if isinstance(change, tuple):
            flows.append(Flow(ups[change[0]], downs[change[1]]))
            sharing.start(flows[-1])
        elif flows:
            sharing.stop(flows.pop(change % len(flows)))
        if each:
            sharing.settle(_set)
    sharing.settle(_set)
    # then they are what filling from nothing finds
    assert [flow.rate for flow in flows] == pytest.approx(fair_rates(flows), rel=1e-6)


@given(capacities, st.lists(pairs, max_size=20), st.integers(0, NODES - 1), st.floats(0.5, 20))
def test_a_link_that_gets_another_rate_is_shared_anew(
    capacity: list[float], ends: list[tuple[int, int]], changed: int, rate: float
) -> None:
    ups = [Link(f"up {n}", capacity[n]) for n in range(NODES)]
    downs = [Link(f"down {n}", capacity[NODES + n]) for n in range(NODES)]
    sharing, flows = Sharing(), [Flow(ups[up], downs[down]) for up, down in ends]
    for flow in flows:
        sharing.start(flow)
    sharing.settle(_set)
    sharing.set_rate(ups[changed], rate)
    sharing.settle(_set)
    assert [flow.rate for flow in flows] == pytest.approx(fair_rates(flows), rel=1e-6)


def test_a_change_that_others_do_not_feel_is_not_followed_to_them() -> None:
    # given a hundred pairs of nodes, each with a flow of its own
    sharing = Sharing()
    flows = [Flow(Link(f"up {n}", 1.0), Link(f"down {n}", 1.0)) for n in range(100)]
    for flow in flows:
        sharing.start(flow)
    sharing.settle(_set)
    before = sharing.levels_found
    # when one more flow starts between one of the pairs
    sharing.start(Flow(flows[0].up, flows[0].down))
    changed: list[Flow] = []
    sharing.settle(lambda flow, rate: changed.append(flow))
    # then only that pair's links have been looked at
    assert sharing.levels_found - before <= 4
    assert len(changed) == 2


def test_a_stopped_flow_has_no_rate() -> None:
    sharing, flow = Sharing(), Flow(Link("up", 1.0), Link("down", 1.0))
    sharing.start(flow)
    sharing.settle(_set)
    sharing.stop(flow)
    sharing.settle(_set)
    assert flow.rate == 0.0
