"""The benchmark of one node from another moves what it says, and tells where the CPU went."""

from __future__ import annotations

import pytest

from benchmarks import loopback

pytestmark = pytest.mark.live

PARTS = {
    "source: read",
    "source: socket thread",
    "source: zmq io",
    "receiver: zmq io",
    "receiver: socket thread",
    "receiver: hash",
    "receiver: write",
}


@pytest.mark.parametrize("encryption", [False, True])
def test_an_object_is_moved_and_every_part_of_the_work_is_told(encryption: bool) -> None:
    moved = loopback.transfer((8 << 20) + 17, encryption)
    assert moved.gb_per_s == moved.size_bytes / moved.seconds / 1e9 > 0
    assert moved.cpu_s.keys() == PARTS
    assert all(seconds >= 0 for seconds in moved.cpu_s.values())
    assert moved.cpu_s["receiver: hash"] > 0 < moved.cpu_s["receiver: write"]
