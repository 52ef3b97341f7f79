"""The benchmark gives every call the whole value, and compares rates."""

from __future__ import annotations

import pytest

import vine
from benchmarks.dispatch.bench import Bench
from benchmarks.dispatch.shared import VALUE_BYTES, shared


def test_each_kind_of_value_has_a_cold_cost_a_rate_and_a_share(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vine, "share", lambda value: value)  # Threads share anyway.
    figures = shared(bench, rounds=1, count=20)
    assert [figure.name for figure in figures] == ["shared_cold_ms", "shared_per_s", "shared_of_calls"] * 2
    assert {figure.params["value"] for figure in figures} == {"bytes", "array"}
    assert all(figure.value > 0 and figure.params["bytes"] == VALUE_BYTES for figure in figures)
