"""Are the ratios those that are promised, over medians of rounds that took turns?"""

from __future__ import annotations

import json

import pytest

from benchmarks.parsl import main as comparison
from benchmarks.parsl.round import Round
from benchmarks.peers.processes import RoundFailed

FOUND = {
    "vine": Round(startup_s=1.0, apps_per_s=900.0, chain_s=0.2),
    "htex": Round(startup_s=4.0, apps_per_s=300.0, chain_s=0.4),
    "threads": Round(startup_s=0.1, apps_per_s=1000.0, chain_s=0.1),
}


def test_rounds_take_turns_and_ratios_are_of_medians(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str, int, int]] = []

    def a_round(*what: str | int) -> Round:
        asked.append(what)  # type: ignore[arg-type]
        return FOUND[str(what[0])]

    monkeypatch.setattr(comparison, "_round", a_round)
    assert comparison.main(["--json", "--rounds", "2", "--log", "off", "--apps", "7", "--chain", "3"]) == 0
    assert [name for name, *_ in asked] == ["vine", "htex", "threads"] * 2
    assert {tuple(rest) for _, *rest in asked} == {("off", 7, 3)}
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ratios = {figure["figure"]: figure["value"] for figure in figures if "_of_" in figure["figure"]}
    assert ratios == {"apps_of_threads": 0.9, "apps_of_htex": 3.0, "chain_of_htex": 0.5, "startup_of_htex": 0.25}
    assert len(figures) == 9 + 4


def test_a_round_that_fails_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*what: object) -> Round:
        raise RoundFailed("exit code 1: no such thing")

    monkeypatch.setattr(comparison, "_round", fail)
    assert comparison.main([]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "parsl: exit code 1: no such thing"


def test_medians_are_of_each_figure_by_itself() -> None:
    rounds = [Round(1.0, 30.0, 5.0), Round(2.0, 10.0, 4.0), Round(3.0, 20.0, 6.0)]
    assert comparison.medians(rounds) == Round(2.0, 20.0, 5.0)
