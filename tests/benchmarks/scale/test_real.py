"""A round on real workers has every call done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from benchmarks.scale import real


def test_a_round_lasts_as_long_as_its_calls_on_so_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "CALLS", 64)
    monkeypatch.setattr(real, "CALL_S", 0.001)
    with ThreadPoolExecutor(real.WORKERS) as executor:
        assert real.round_s(cast(Any, executor), 0) >= 0.001
