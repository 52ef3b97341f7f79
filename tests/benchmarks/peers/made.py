"""Rounds that nothing has run, for the tests of what is told of them."""

from __future__ import annotations

from benchmarks.peers.child import Round


def made_round(rate: float, latency_ms: float = 1.0, startup_s: float = 0.5, calls: int = 100) -> Round:
    return Round("1.0", calls, startup_s, rate, (latency_ms / 2, latency_ms, latency_ms * 3))
