"""The command takes turns, tells what is missing and what has failed, and compares the rest."""

from __future__ import annotations

import json

import pytest

from benchmarks.peers import main
from benchmarks.peers.child import Round
from benchmarks.peers.interface import DASK, PARSL, VINE, Peer
from benchmarks.peers.processes import RoundFailed
from tests.benchmarks.peers.made import made_round
from vine.errors import ExitCode


def test_systems_take_turns_and_one_that_fails_is_asked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(peer: Peer, calls: int) -> Round:
        asked.append(peer.home)
        if peer is PARSL and asked.count(peer.home) == 2:
            raise RoundFailed("no result after 1 s")
        return made_round(calls)

    monkeypatch.setattr(main, "run_round", run)
    found, failed = main.compare([VINE, DASK, PARSL], rounds=3, calls=7)
    first = ["vine_executor", "dask_distributed", "parsl_htex"]
    assert asked == [*first, *first, *first[:2]]
    assert [(peer, of.rounds) for peer, of in found.items()] == [(VINE, 3), (DASK, 3)]
    assert failed == {PARSL.name: "no result after 1 s"}


def test_what_is_not_installed_is_said_and_the_rest_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "PEERS", (VINE, Peer("Nobody's", "no_such_package", "nowhere", 1)))
    monkeypatch.setattr(main, "run_round", lambda peer, calls: made_round(calls))
    assert main.main(["--json", "--calls", "5"]) == ExitCode.OK
    said = capsys.readouterr()
    assert "Nobody's is not compared: there is no package no_such_package here" in said.err
    figures = [json.loads(line) for line in said.out.splitlines()]
    assert {figure["params"]["system"] for figure in figures} == {"vine"}
    assert next(figure["value"] for figure in figures if figure["figure"] == "calls_per_s") == 5


def test_a_failure_is_told_and_is_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(peer: Peer, calls: int) -> Round:
        raise RoundFailed("exit code 1: out of luck")

    monkeypatch.setattr(main, "run_round", fail)
    assert main.main(["--only", "process_pool"]) == ExitCode.FAILED
    assert "ProcessPoolExecutor has failed: exit code 1: out of luck" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--only", "gossip"], ["--rounds", "0"], ["--calls", "-1"]])
def test_nonsense_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(wrong)
