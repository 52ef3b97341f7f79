"""Where do streams lie that are too long to come back whole, and which of them go when there are too many?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.assignments import assignment
from vine import config
from vine.wire.parts import TaskKind
from vine_worker.sandbox import Sandbox
from vine_worker.streams import KeptStreams


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptStreams:
    monkeypatch.setattr(config, "streams_kept_bytes_max", 1000)
    monkeypatch.setattr(config, "failed_streams_bytes_max", 100)
    (tmp_path / "logs").mkdir()
    return KeptStreams(tmp_path / "worker" / "streams", 1e9, tmp_path / "logs", "w1.")


def printed(tmp_path: Path, number: int, size: int) -> Sandbox:
    sandbox = Sandbox(tmp_path / f"sandbox-{number}")
    sandbox.make(assignment(number, TaskKind.COMMAND), lambda object_id: tmp_path)
    sandbox.stdout.write_bytes(b"o" * (size - 1))
    sandbox.stderr.write_bytes(b"e")
    return sandbox


def test_those_of_a_failed_task_lie_among_the_logs_and_others_on_the_workers_disk(
    kept: KeptStreams, tmp_path: Path
) -> None:
    failed = Path(kept.keep(printed(tmp_path, 1, 60), "task-1", failed=True))
    succeeded = Path(kept.keep(printed(tmp_path, 2, 60), "task-2", failed=False))
    assert (failed, succeeded) == (tmp_path / "logs" / "w1.task-1", tmp_path / "worker" / "streams" / "task-2")
    for folder in (failed, succeeded):
        assert ((folder / "stdout").read_bytes(), (folder / "stderr").read_bytes()) == (b"o" * 59, b"e")


def test_what_is_too_long_for_the_logs_stays_on_the_workers_disk_and_what_is_too_long_for_that_nowhere(
    kept: KeptStreams, tmp_path: Path
) -> None:
    near = tmp_path / "worker" / "streams" / "task-1"
    assert kept.keep(printed(tmp_path, 1, 101), "task-1", failed=True) == str(near)
    assert kept.keep(printed(tmp_path, 2, 1001), "task-2", failed=True) == ""


def test_they_take_a_tenth_of_a_small_disk(kept: KeptStreams, tmp_path: Path) -> None:
    of_small = KeptStreams(tmp_path / "near", 4000, tmp_path / "logs", "w1.")
    assert of_small.keep(printed(tmp_path, 1, 401), "task-1", failed=False) == ""
    assert of_small.keep(printed(tmp_path, 2, 400), "task-2", failed=False)


def test_the_oldest_go_first(kept: KeptStreams, tmp_path: Path) -> None:
    folders = [Path(kept.keep(printed(tmp_path, n, 400), f"task-{n}", failed=False)) for n in (1, 2, 3)]
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_a_disk_that_does_not_take_them_is_no_error_of_their_task(kept: KeptStreams, tmp_path: Path) -> None:
    (tmp_path / "worker").write_text("in the way")
    assert kept.keep(printed(tmp_path, 1, 400), "task-1", failed=False) == ""
