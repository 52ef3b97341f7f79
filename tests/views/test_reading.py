from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.views.journaled import START_S, JournaledWorld, shown
from vine.manager.journal import Journal, file_name
from vine.names import RunId
from vine.views.reading import open_run


def test_rates_come_from_the_last_rows(world: JournaledWorld) -> None:
    journal = Journal(world.run_dir / file_name, RunId("run-7"))
    for second in range(20):
        sent = {"bytes_from_manager": 0, "bytes_from_peers": 1000 * second if second > 10 else 0}
        journal.statistics(sent, START_S + second)
    journal.close("")
    with open_run(world.run_dir) as run:
        assert run.rates() == {"bytes_from_manager": 0.0, "bytes_from_peers": 1000.0}


def test_looking_changes_nothing(world: JournaledWorld, capsys: pytest.CaptureFixture[str]) -> None:
    task = world.submit()
    before = (world.save() / file_name).read_bytes()
    shown(capsys, str(world.run_dir))
    shown(capsys, str(world.run_dir), "why", str(task))
    assert (world.run_dir / file_name).read_bytes() == before


def test_a_killed_manager_s_last_commits_are_seen(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # A copy of the files of a journal that is being written is what a kill leaves.
    world.save()
    connection = sqlite3.connect(world.run_dir / file_name)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("UPDATE facts SET value = 'renamed' WHERE name = 'run_id'")
    connection.commit()
    shutil.copytree(world.run_dir, tmp_path / "killed")
    connection.close()
    assert "run renamed" in shown(capsys, str(tmp_path / "killed"))


def test_the_latest_run_is_found_by_default(
    world: JournaledWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "vine-run-info"
    info.mkdir()
    (info / "most-recent").symlink_to(world.save())
    monkeypatch.chdir(tmp_path)
    assert "run run-7" in shown(capsys)
    assert "run run-7" in shown(capsys, "vine-run-info")
