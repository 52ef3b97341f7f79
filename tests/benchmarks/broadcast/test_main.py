from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.broadcast.main import main
from vine.errors import ExitCode

SMALL = ("--simulate", "--workers", "8", "--size", "16MiB", "--rate", "1gbit")


def test_simulated_plans_are_told_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--plan", "forest,whole-file,one-source", "--cap", "2"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "17 MB, simulated True, gbit_per_s 1.0, cap 2" in out
    assert [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")] == [
        "forest",
        "whole-file",
        "one-source",
    ]


def test_whole_files_are_spread_with_each_cap_and_what_each_source_has_sent_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*SMALL, "--plan", "forest,whole-file", "--cap", "1,3,10"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert rows == ["forest", "whole-file", "whole-file", "whole-file"]
    told = [line.strip() for line in lines if " manager " in line and ":" in line]
    assert [line.partition(":")[0] for line in told] == [
        "forest, cap 3", "whole-file, cap 1", "whole-file, cap 3", "whole-file, cap 10",
    ]  # fmt: skip
    assert all(f"w000{number} " in line for line in told for number in range(8))


def test_with_json_each_figure_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == ExitCode.OK
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {figure["figure"] for figure in figures} == {
        "broadcast_s",
        "manager_copies",
        "worker_copies_max",
        "broadcast_of_bound",
        "sent_bytes",
    }
    assert all(figure["params"]["workers"] == 8 and figure["params"]["plan"] == "forest" for figure in figures)


@pytest.mark.parametrize(("option", "figure"), [("--slow", "slow_node_factor"), ("--kill", "killed_node_factor")])
def test_disturbances_are_told_as_figures(option: str, figure: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, option, "1", "--json"]) == ExitCode.OK
    assert figure in [json.loads(line)["figure"] for line in capsys.readouterr().out.splitlines()]


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    assert main([*SMALL, "--png", str(tmp_path / "out.png")]) == ExitCode.OK
    assert (tmp_path / "out.png").stat().st_size > 1000


def test_what_is_missing_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["--hosts", "3"]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert said.startswith("broadcast: --hosts needs root's rights") and said.count("\n") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ("--plan", "gossip"),
        ("--workers", "0"),
        ("--hosts", "250"),
        ("--size", "much"),
        ("--rate", "fast"),
        ("--simulate", "--loopback"),
        ("--slow", "1"),
        ("--kill", "1", "--hosts", "2"),
    ],
)
def test_what_cannot_be_measured_is_refused(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(wrong))
    assert ended.value.code == ExitCode.USAGE
    assert wrong[0] in capsys.readouterr().err


def test_an_interrupt_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(wanted: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.broadcast.simulated.broadcast", interrupted)
    assert main(list(SMALL)) == 130
    assert capsys.readouterr().err == "broadcast: interrupted\n"
