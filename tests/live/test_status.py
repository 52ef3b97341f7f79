"""What does `vine-status` say of a run that lives, and why does a task wait?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site, done, lines_of, one_line_error, run, status
from tests.waiting import until
from vine.errors import ExitCode


class Standing:
    """A run in which a task runs on the only worker, and others wait for different reasons."""

    def __init__(self, site: Site, manager: vine.Manager, folder: Path) -> None:
        self.site = site
        notes, self.release = folder / "notes", folder / "release"
        (self.ended,) = done(manager, vine.Task("true"))
        (self.failed,) = done(manager, vine.Task("exit 3"))
        self.running = vine.PythonTask(bodies.note_and_wait, str(notes), str(self.release))
        self.running.set_cores(1)
        self.made = manager.declare_temp()
        self.running.add_output(self.made, "made")
        self.queued = vine.Task("echo queued")
        self.queued.set_cores(1)
        self.dependant = vine.Task("cat made")
        self.dependant.add_input(self.made, "made")
        self.unmade = vine.Task("cat nobody-makes-me")
        self.unmade.add_input(manager.declare_temp(), "nobody-makes-me")
        manager.submit(self.running)
        until(lambda: lines_of(notes), "the task runs")
        for task in (self.queued, self.dependant, self.unmade):
            manager.submit(task)

    def why(self, task: vine.Task) -> str:
        ended = run("vine-status", self.site.run_dir, "why", task.id)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def why_becomes(self, task: vine.Task, *words: str) -> None:
        """The views lag behind by a fraction of a second."""
        until(lambda: all(word in self.why(task) for word in words), f"{words} in: {self.why(task)}", 20)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    folder = tmp_path_factory.mktemp("status")
    with a_site(folder / "site", ["w0"]) as site, site.client() as manager:
        standing = Standing(site, manager, folder)
        yield standing
        standing.release.touch()


def test_json_tells_workers_and_tasks_by_state(standing: Standing) -> None:
    found = until(lambda: _if_running(standing.site), "the running task is told")
    (worker,) = found["workers"]
    assert (worker["id"], worker["capacity"]["cores"], worker["running"]) == ("w0", 1, 1)
    assert found["tasks"]["done"] == 1
    assert found["tasks"]["failed"] == 1
    assert found["tasks"]["waiting"] == 2
    assert found["ended_s"] is None
    assert {"bytes_from_manager", "bytes_from_peers", "transfers", "reasons", "failures", "rates"} <= found.keys()
    assert [failure["task"] for failure in found["failures"]] == [standing.failed.id]


def _if_running(site: Site) -> dict[str, Any] | None:
    found = site.status()
    return found if found["tasks"]["running"] == 1 and found["tasks"]["waiting"] == 2 else None


def test_people_read_the_same_in_plain_lines(standing: Standing) -> None:
    until(lambda: _if_running(standing.site), "the running task is told")
    ended = run("vine-status", standing.site.run_dir)
    assert ended.returncode == 0
    for words in ("workers: 1", "1 running", "2 waiting", "1 failed", "w0", "why tasks wait:", "exit code 3"):
        assert words in ended.stdout, ended.stdout


def test_a_trace_and_a_report_of_the_run_as_it_stands(standing: Standing, tmp_path: Path) -> None:
    standing.why_becomes(standing.running, "runs on w0", "attempt 1.", " is given to w0", "submitted at")
    trace, report = tmp_path / "trace.json", tmp_path / "report.html"
    for what, out in (("trace", trace), ("report", report)):
        ended = run("vine-status", standing.site.run_dir, what, out)
        assert ended.returncode == 0, ended.stderr
    attempts = [event for event in json.loads(trace.read_text())["traceEvents"] if event.get("cat") == "attempt"]
    assert {attempt["args"]["outcome"] for attempt in attempts} == {"success", "exit-code", "runs"}
    for words in ("exit code 3", "1 running", "why tasks wait", f"{standing.site.run_dir}/logs/w0.log"):
        assert words in report.read_text(), words


def test_the_folder_of_runs_stands_for_its_latest(tmp_path: Path) -> None:
    with vine.Manager(run_info_path=tmp_path / "vine-run-info", name="mine") as manager:
        by_default = run("vine-status", folder=tmp_path)
        found = status(tmp_path / "vine-run-info")
        assert str(manager.run_directory) in by_default.stdout
        assert found["run_dir"] == str(manager.run_directory.resolve())
    ended = status(manager.run_directory)
    assert ended["ended_s"] is not None
    assert ended["end_reason"]


def test_why_of_a_task_that_waits_for_room(standing: Standing) -> None:
    standing.why_becomes(standing.queued, "echo queued")
    said = standing.why(standing.queued)
    assert "busy" in said or "queued on w0" in said or "waits for room" in said, said


def test_why_of_a_task_that_waits_for_another_ones_output(standing: Standing) -> None:
    standing.why_becomes(
        standing.dependant, "waits for temp", f"task {standing.running.id}", "note_and_wait", "running"
    )


def test_why_of_a_task_whose_input_nobody_makes(standing: Standing) -> None:
    standing.why_becomes(standing.unmade, "waits for temp", "no submitted task makes")


def test_why_of_a_task_that_runs_has_ended_or_has_failed(standing: Standing) -> None:
    standing.why_becomes(standing.running, "runs on w0")
    assert "done on w0 (success)" in standing.why(standing.ended)
    assert "failed on w0 (exit-code)" in standing.why(standing.failed)
    assert "exit code 3" in standing.why(standing.failed)


def test_why_of_a_task_before_any_worker_has_come(tmp_path: Path) -> None:
    with a_site(tmp_path / "site") as site, site.client() as manager:
        task = vine.Task("true")
        manager.submit(task)

        def said() -> bool:
            return (
                "start some with vine-worker or vine-factory" in run("vine-status", site.run_dir, "why", task.id).stdout
            )

        until(said, "it waits for a worker")
        # The views' row may be a second older than what `why` reads.
        until(lambda: any("none is connected" in reason["reason"] for reason in site.status()["reasons"]), "it says so")


def test_why_of_no_task(standing: Standing) -> None:
    ended = run("vine-status", standing.site.run_dir, "why", 12345)
    assert ended.returncode == ExitCode.USAGE
    assert "12345" in one_line_error(ended, "vine-status")
