"""The sweep from its command line to its files, with a runtime that answers by script."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.mnist_sweep import main, packing, run, shared
from benchmarks.mnist_sweep.fleet import Fleet
from benchmarks.mnist_sweep.packing import Package, Packages
from benchmarks.mnist_sweep.programs import Programs
from benchmarks.mnist_sweep.shared import Shared
from tests.benchmarks.mnist_sweep.test_packing import joined
from vine.errors import NoWorkerFits, VineError
from vine.names import TaskId, WorkerId
from vine.wire.messages import RunState
from vine.wire.parts import Outcome, TaskResult

SHARED = Shared(Path("/shared/environment"), Path("/shared/mnist"))


class Manager:
    caches: set[str] = set()  # of all managers: how long files were to be kept

    def __init__(self, run_info_path: Path) -> None:
        self.run_directory = run_info_path / "now"
        self.stats = RunState(2, 2.0, {"running": 1}, 86_000_000, 85_000_000)

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def wait_for_workers(self, count: int) -> None:
        return None

    def declare_file(self, path: Path, cache: str) -> str:
        assert path.is_file(), "what is declared has been packed"
        self.caches.add(cache)
        return path.name

    def declare_environment(self, path: Path, cache: str) -> str:
        return self.declare_file(path, cache)

    def declare_untar(self, file: str, cache: str) -> str:
        self.caches.add(cache)
        return f"untar {file}"


class Executor:
    """Every task ends at once: the `failing`-th with an error, the others better and better."""

    failing = 0
    started: list[Executor] = []  # all of them

    def __init__(self, manager: Manager, workspace: Path | None = None, **_: object) -> None:
        self.started.append(self)
        self.workspace = workspace
        self.workers = 2
        self.calls = 0
        self.bound: dict[str, Any] = {}

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def options(self, **bound: Any) -> Executor:
        self.bound = bound
        return self

    def submit(self, function: Any, number: int, *_: Any) -> Future[Any]:
        staged = {"environment": "environment.tar", "inputs": {"mnist": "untar mnist.tar"}}
        assert self.bound == {"cores": 1, **(staged if self.workspace is not None else {})}
        self.calls += 1
        future: Future[Any] = Future()
        outcome = Outcome.NO_WORKER_FITS if self.calls == self.failing else Outcome.SUCCESS
        future.task = TaskResult(
            TaskId(self.calls), outcome, worker_id=WorkerId(f"w{self.calls % self.workers}"), task_s=1.0
        )  # type: ignore[attr-defined]
        if outcome is not Outcome.SUCCESS:
            future.set_exception(NoWorkerFits("it asks for more than there is"))
            return future
        accuracy = 0.9 + self.calls / 100
        future.set_result(
            {
                "accuracy": accuracy,
                "test_accuracy": accuracy,
                "fit_s": 0.5,
                "prefix": str(SHARED.environment if self.workspace is None else self.workspace / "vine-store"),
                "folder": str((self.workspace or Path("/elsewhere")) / "vine-worker-w"),
                "python": "3.11",
                "numpy": "2",
                "sklearn": "1",
            }
        )
        return future


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sweep runs; its environment and dataset are a byte each."""
    packages = []
    for name in ("environment", "mnist"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
        packages.append(Package(tmp_path / name, tmp_path / f"{name}.tar", joined))
    monkeypatch.setattr(Manager, "caches", set())
    monkeypatch.setattr(Executor, "started", [])
    monkeypatch.setattr(packing, "prepare", lambda cache, mnist: Packages(*packages))
    monkeypatch.setattr(shared, "prepare", lambda folder, packages: SHARED)
    monkeypatch.setattr(run, "vine", SimpleNamespace(Manager=Manager, Executor=Executor))
    return tmp_path


@pytest.mark.parametrize("distribution", ["vine", "vine-hot", "vine-warm"])
def test_a_sweep_leaves_its_files_and_says_where(
    folder: Path, distribution: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "results"
    assert main.main(["--tasks", "8", "--distribution", distribution, "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} >= {
        "tasks.csv",
        "table1.md",
        "best.md",
        "summary.json",
        "histogram.png",
    }
    said = capsys.readouterr().out
    assert "8/8 done" in said
    assert "86.0 MB from manager, 85.0 MB from peers" in said
    assert f"results: {out}" in said
    summary = json.loads((out / "summary.json").read_text())
    assert summary["best_accuracy"] == pytest.approx(0.98)
    assert summary["distribution"] == distribution
    assert (summary["pack_s"] > 0) is (distribution == "vine")
    assert summary["environment"] == {"packed_bytes": 1, "unpacked_bytes": 1}


def test_a_warm_sweep_is_the_second_run_in_workspaces_that_keep_what_the_first_has_brought(folder: Path) -> None:
    # when
    assert main.main(["--tasks", "8", "--distribution", "vine-warm", "--out", str(folder / "results")]) == 0
    # then a task a worker has run before the sweep, in the same place, and what they took is kept for ever
    first, second = Executor.started
    assert (first.calls, second.calls) == (2, 8)
    assert first.workspace == second.workspace
    assert Manager.caches == {"forever"}
    # and when all is over it is gone, and the first run's time is told but not counted
    assert not first.workspace.exists()
    summary = json.loads((folder / "results" / "summary.json").read_text())
    assert summary["warm_s"] > 0
    assert summary["tasks"] == 8


def test_a_sweep_on_a_shared_filesystem_declares_nothing_and_starts_its_workers_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    fleets: list[Fleet] = []
    monkeypatch.setattr(Fleet, "start", lambda self, programs, manager: fleets.append(self))
    # when
    assert main.main(["--tasks", "8", "--distribution", "shared-fs", "--out", str(folder / "results")]) == 0
    # then
    (fleet,) = fleets
    assert (fleet.python, len(fleet.places), fleet.size.cores) == (SHARED.python, 2, 1)
    assert Manager.caches == set(), "no file goes through the data plane"
    summary = json.loads((folder / "results" / "summary.json").read_text())
    assert (summary["distribution"], summary["succeeded"]) == ("shared-fs", 8)
    assert summary["prefixes"] == [str(SHARED.environment)]


def test_a_sweep_whose_worker_has_ended_ends_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(self: Programs) -> None:
        raise VineError("w01 has ended with code 1")

    stopped: list[dict[str, bool]] = []
    monkeypatch.setattr(Fleet, "start", lambda *_: None)
    monkeypatch.setattr(Programs, "check", ended)
    monkeypatch.setattr(Executor, "shutdown", lambda self, **how: stopped.append(how), raising=False)
    assert main.main(["--distribution", "shared-fs", "--out", str(folder / "results")]) == 1
    assert capsys.readouterr().err == "mnist_sweep: w01 has ended with code 1\n"
    assert stopped == [{"wait": False, "cancel_futures": True}]


def test_a_worker_that_could_not_be_warmed_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Executor, "failing", 2)
    assert main.main(["--distribution", "vine-warm", "--out", str(folder / "results")]) == 1
    assert "1 of 2 workers could be warmed (NoWorkerFits" in capsys.readouterr().err


def test_a_task_that_failed_is_named_and_the_exit_code_tells(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Executor, "failing", 2)
    assert main.main(["--tasks", "4", "--out", str(folder / "results")]) == 1
    said = capsys.readouterr().out
    assert "3 of 4 tasks succeeded" in said
    assert "task 625 ended as 'no-worker-fits': NoWorkerFits: it asks for more than there is" in said


def test_an_interrupt_keeps_the_rows_that_there_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(futures: Any) -> Any:
        yield list(futures)[:3]
        raise KeyboardInterrupt

    stopped: list[dict[str, bool]] = []
    monkeypatch.setattr(run, "batches", interrupted)
    monkeypatch.setattr(Executor, "shutdown", lambda self, **how: stopped.append(how), raising=False)
    assert main.main(["--tasks", "8", "--out", str(folder / "results")]) == 130
    assert json.loads((folder / "results" / "summary.json").read_text())["succeeded"] == 3
    assert "3 of 8 tasks succeeded" in (said := capsys.readouterr().out)
    assert "interrupted" in said
    assert stopped == [{"wait": False, "cancel_futures": True}]


def test_results_that_cannot_be_written_are_heard_of_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "results").write_text("in the way")
    assert main.main(["--out", str(folder / "results")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("mnist_sweep: ")
    assert "results" in said
    assert said.count("\n") == 1
