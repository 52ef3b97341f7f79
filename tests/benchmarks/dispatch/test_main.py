"""The command measures what it is asked for, in that order, and says in one line what keeps it from that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.dispatch import main
from benchmarks.dispatch.bench import Bench
from benchmarks.figures import Figure
from vine.errors import ExitCode, ManagerLost


@pytest.fixture
def threads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened() -> Iterator[Bench]:
        yield bench

    monkeypatch.setattr(main, "bench", opened)


@pytest.mark.usefixtures("threads")
def test_each_figure_is_a_line_of_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(at: Bench, rounds: int, count: int) -> list[Figure]:
        return [Figure("asked", rounds, "", {"count": count})]

    monkeypatch.setitem(main.BENCHMARKS, "latency", (measure, 7))
    monkeypatch.setitem(main.BENCHMARKS, "calls", (measure, 8))
    assert main.main(["latency", "calls", "--rounds", "5", "--json"]) == ExitCode.OK
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(figure["value"], figure["params"]["count"]) for figure in figures] == [(5, 7), (5, 8)]


@pytest.mark.usefixtures("threads")
def test_a_run_that_is_lost_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(at: Bench, rounds: int, count: int) -> list[Figure]:
        raise ManagerLost("the manager has ended")

    monkeypatch.setitem(main.BENCHMARKS, "calls", (lose, 1))
    assert main.main(["calls"]) == ManagerLost.exit_code
    assert capsys.readouterr().err == "dispatch: the manager has ended\n"


def test_nonsense_is_refused() -> None:
    with pytest.raises(SystemExit):
        main.main(["gossip"])
