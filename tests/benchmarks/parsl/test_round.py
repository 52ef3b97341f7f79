"""A round measures a start, many apps and a chain, and trusts no result that it has not checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.parsl import round as a_round


def test_the_command_prints_a_round(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    monkeypatch.setattr("sys.argv", ["round", "threads", str(tmp_path), "none", "20", "5"])
    assert a_round.main(said.append) == 0
    (line,) = said
    assert sorted(json.loads(line)) == ["apps_per_s", "chain_s", "startup_s"]
    assert min(json.loads(line).values()) > 0


class Wrong:
    """A future with a result that is none."""

    def result(self) -> int:
        return -1


def test_wrong_results_are_no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(a_round, "increased", lambda number: Wrong())
    with pytest.raises(AssertionError, match="wrong results"):
        a_round.many(3)
    with pytest.raises(AssertionError, match="wrong result"):
        a_round.chained(3)
