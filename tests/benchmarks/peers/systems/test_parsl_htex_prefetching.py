"""Calls run on Parsl's HTEX, set for many short ones, as they do on it as it comes: by the same lines."""

from contextlib import nullcontext

import pytest

from benchmarks.peers.systems import parsl_htex, parsl_htex_prefetching


def test_it_is_the_same_but_that_calls_wait_at_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(parsl_htex, "started", lambda *words: asked.append(words) or nullcontext())
    parsl_htex_prefetching.started(abs, "folder")
    assert asked == [(abs, "folder", 100)]
