from __future__ import annotations

import os

import pytest

from benchmarks.broadcast import shaped
from benchmarks.broadcast.outcome import BenchmarkError, Plan

WANTED = shaped.Wanted(
    workers=3, size_bytes=2 << 20, link_bytes_per_s=12.5e6,
    plans=(Plan("forest", 3),), encryption=("on",), rounds=1,
)  # fmt: skip


def test_without_root_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/hosts has the broadcast itself."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BenchmarkError, match="needs root's rights"):
        shaped.broadcasts(WANTED)
