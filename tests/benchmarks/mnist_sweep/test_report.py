"""The files of a run say what its tasks said."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks.mnist_sweep import report
from benchmarks.mnist_sweep.grid import combination, draw
from benchmarks.mnist_sweep.report import Row, Run


@pytest.fixture
def run() -> Run:
    """Eight tasks of 1 to 8 seconds, better the longer they ran, and one that failed after 99."""
    rows = [
        Row(
            number,
            combination(number),
            "success",
            accuracy=0.9 + second / 100,
            test_accuracy=0.9,
            worker="w1",
            task_s=second,
            run_s=second / 2,
            prefix="/workspace/environment",
        )
        for second, number in enumerate(draw(8), 1)
    ]
    rows.append(Row(7, combination(7), "exception", message="ValueError: a, b", task_s=99.0))
    return Run("vine-hot", 2, rows, {"run_s": 12.5})


def test_tasks_have_a_row_each_with_their_combination_and_times(run: Run, tmp_path: Path) -> None:
    report.write(run, tmp_path)
    with (tmp_path / "tasks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    assert rows[0]["hidden_layers"] == "32"
    assert rows[2]["hidden_layers"] == "64-64"
    assert rows[2]["task_s"] == "3.0000"
    assert (rows[8]["outcome"], rows[8]["accuracy"], rows[8]["message"]) == ("exception", "", "ValueError: a, b")


def test_the_tables_take_the_tasks_that_succeeded(run: Run) -> None:
    whole, body = (line for line in report.tables(run).splitlines() if line.startswith("| 2"))
    assert whole == "| 2 | 4.50 | 4.50 | 2.29 |"
    assert body == "| 2 | 2.25 | 2.25 | 1.15 |"


def test_the_summary_is_json_with_the_five_best(run: Run, tmp_path: Path) -> None:
    report.write(run, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["best_accuracy"] == pytest.approx(0.98)
    assert [best["number"] for best in summary["best"]] == draw(8)[:2:-1]
    assert summary["best"][0]["hidden_layers"] == list(combination(draw(8)[7])["hidden_layers"])  # type: ignore[arg-type]
    assert (summary["tasks"], summary["succeeded"], summary["failed"]) == (9, 8, 1)
    assert (summary["task_s"]["median"], summary["run_s"]) == (4.5, 12.5)


def test_the_best_table_has_the_best_first(run: Run) -> None:
    rows = report.best_table(run).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 0.9800", "| 0.9700", "| 0.9600", "| 0.9500", "| 0.9400"]


def test_a_picture_is_drawn(run: Run, tmp_path: Path) -> None:
    report.write(run, tmp_path)
    assert (tmp_path / "histogram.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_in_which_nothing_succeeded_can_be_reported(run: Run, tmp_path: Path) -> None:
    report.write(Run("vine", 2, run.rows[8:], {}), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["best_accuracy"] is None
    assert summary["task_s"]["mean"] is None
    assert "| 2 | - | - | - |" in (tmp_path / "table1.md").read_text()
