"""Each system that is compared has its file, and is known to be installed or not without importing it."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks.peers.interface import PEERS, Peer


def test_each_system_has_one_file_of_its_own() -> None:
    homes = [peer.home for peer in PEERS]
    assert len(set(homes)) == len(homes)
    assert all(find_spec(f"benchmarks.peers.systems.{home}") is not None for home in homes)


def test_what_cannot_be_imported_is_not_installed() -> None:
    assert Peer("ours", "vine.client", "vine_executor", 1).installed
    assert not Peer("nobody's", "no_such_package.anywhere", "nowhere", 1).installed
