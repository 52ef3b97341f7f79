"""What each system must do here: run the work, or be named as missing."""

from __future__ import annotations

from benchmarks.peers.interface import PEERS
from benchmarks.peers.processes import run_round


def check_runs_or_is_missing(home: str, package: str) -> None:
    """Really, in processes of its own; a round checks its results itself."""
    peer = next(peer for peer in PEERS if peer.home == home)
    assert peer.package == package
    if peer.installed:
        assert run_round(peer, calls=20).calls == 20
