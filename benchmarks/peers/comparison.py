"""What do the rounds say: medians of each system, and how many times better vine is?"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.figures import Figure
from benchmarks.peers.child import Round
from benchmarks.peers.interface import DASK, DASK_SET, PARSL, PARSL_SET, VINE, Peer


@dataclass(frozen=True, slots=True)
class Medians:
    """Over the rounds of one system."""

    version: str
    calls: int
    rounds: int
    calls_per_s: float
    latency_ms_median: float
    latency_ms_p99: float
    startup_s: float


def medians(rounds: Sequence[Round]) -> Medians:
    return Medians(
        rounds[0].version,
        rounds[0].calls,
        len(rounds),
        statistics.median(one.calls_per_s for one in rounds),
        statistics.median(one.latencies_ms[len(one.latencies_ms) // 2] for one in rounds),
        statistics.median(one.latencies_ms[len(one.latencies_ms) * 99 // 100] for one in rounds),
        statistics.median(one.startup_s for one in rounds),
    )


_UNITS = {"calls_per_s": "1/s", "latency_ms_median": "ms", "latency_ms_p99": "ms", "startup_s": "s"}


def figures(found: Mapping[Peer, Medians]) -> list[Figure]:
    """Every median, then vine over the better of Dask distributed and Parsl HTEX, where there is one of them.

    Once as they come, as vine does, and once set for many short calls.
    """
    every = [
        Figure(name, getattr(of, name), unit, _params(peer, of))
        for peer, of in found.items()
        for name, unit in _UNITS.items()
    ]
    return [
        *every,
        *_ratios(found, (DASK, PARSL), "better_peer"),
        *_ratios(found, (DASK_SET, PARSL_SET), "better_set_peer"),
    ]


def _ratios(found: Mapping[Peer, Medians], peers: Sequence[Peer], name: str) -> list[Figure]:
    others = {peer: found[peer] for peer in peers if peer in found}
    if VINE not in found or not others:
        return []
    rate, latency = found[VINE].calls_per_s, found[VINE].latency_ms_median
    params = {"of": [peer.home for peer in others], "rounds": found[VINE].rounds}
    return [
        Figure(f"calls_of_{name}", rate / max(of.calls_per_s for of in others.values()), "", params),
        Figure(f"latency_of_{name}", latency / min(of.latency_ms_median for of in others.values()), "", params),
    ]


def _params(peer: Peer, of: Medians) -> dict[str, object]:
    version = {"version": of.version} if of.version else {}
    return {"system": peer.name, **version, "calls": of.calls, "lone_calls": peer.lone_calls, "rounds": of.rounds}


def table(found: Mapping[Peer, Medians]) -> Table:
    """A row a system; `x` tells how many times more, or sooner, vine is."""
    shown = Table(
        "system", *("calls/s", "of calls", "x", "lone call: median ms", "x", "p99 ms", "start to first result: s", "x")
    )
    ours = found.get(VINE)
    for peer, of in found.items():
        rate, latency, startup = _times(ours, of)
        shown.add_row(
            f"{peer.name} {of.version}".strip(),
            *(f"{of.calls_per_s:,.0f}", f"{of.calls:,}", rate),
            *(f"{of.latency_ms_median:.3g}", latency, f"{of.latency_ms_p99:.3g}"),
            *(f"{of.startup_s:.3g}", startup),
        )
    return shown


def _times(ours: Medians | None, of: Medians) -> list[str]:
    if ours is None:
        return ["", "", ""]
    ratios = (
        ours.calls_per_s / of.calls_per_s,
        of.latency_ms_median / ours.latency_ms_median,
        of.startup_s / ours.startup_s,
    )
    return [_short(ratio) for ratio in ratios]


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"
