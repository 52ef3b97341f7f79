from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.views.journaled import JournaledWorld, shown
from vine.errors import ExitCode
from vine.manager.journal import Journal, file_name
from vine.names import RunId
from vine.views.status import main


def test_json_holds_all_that_is_known(world: JournaledWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.join("w1")
    found = json.loads(shown(capsys, "--json", str(world.save())))
    assert found["run_id"] == "run-7"
    assert found["tasks"]["waiting"] == 0
    assert [worker["id"] for worker in found["workers"]] == ["w1"]
    assert found["ended_s"] is not None


def test_why_is_answered_by_the_same_command(world: JournaledWorld, capsys: pytest.CaptureFixture[str]) -> None:
    task = world.submit(label="inc")
    said = shown(capsys, str(world.save()), "why", str(task))
    first, second, *_ = said.splitlines()
    assert first.startswith(f"task {task} (inc): ready: waits for a worker")
    assert second.startswith("  + 0 ms: submitted at ")


def test_a_trace_and_a_report_are_written_where_they_are_asked_for(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world.join("w1")
    world.submit()
    world.settle()
    run_dir, trace, report = str(world.save()), tmp_path / "t.json", tmp_path / "r.html"
    assert "wrote 1 attempts and 0 transfers to " in shown(capsys, run_dir, "trace", str(trace))
    assert shown(capsys, run_dir, "report", str(report)) == f"wrote {report}: open it in a browser\n"
    assert json.loads(trace.read_text()) and report.read_text().startswith("<!DOCTYPE html>")


def test_watching_ends_with_the_run(world: JournaledWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert "it was enough" in shown(capsys, "--watch", str(world.save()))


def test_a_run_without_statistics_yet_is_shown(world: JournaledWorld, capsys: pytest.CaptureFixture[str]) -> None:
    Journal(world.run_dir / file_name, RunId("run-7")).close("at once")
    said = shown(capsys, str(world.run_dir))
    assert "tasks: none yet" in said


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["nowhere"], "there is no run in nowhere: name the directory of a run"),
        (["a", "b"], "'b' is one word too many"),
        (["why"], "name one task"),
        (["a", "b", "why", "1"], "name one task"),
        (["why", "1", "2"], "name one task"),
        (["trace"], "name one file: vine-status [RUN_DIR] trace OUT.json"),
        (["run", "report"], "name one file: vine-status [RUN_DIR] report OUT.html"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_in_one_line(
    argv: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == ExitCode.USAGE
    said = capsys.readouterr()
    assert said.err.startswith(f"vine-status: {complaint}")
    assert said.err.count("\n") == 1 and said.out == ""
