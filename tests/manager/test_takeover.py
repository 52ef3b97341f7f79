"""A run is taken up again whole, or not without saying what is missing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.manager.journals import RUN, life_of_a_call
from vine.errors import JournalDamaged, UsageError
from vine.manager.journal import Journal, file_name
from vine.manager.takeover import lock, read_past
from vine.names import TaskId
from vine.wire.keys import new_run_keys, write_run_files


def a_run(folder: Path, tasks: int = 3, reason: str | None = None) -> Path:
    """A run's directory whose manager wrote so many lives of calls, each in a commit of its own, and died."""
    write_run_files(new_run_keys(), folder, RUN, "tcp://127.0.0.1:4711")
    journal = Journal(folder / file_name, RUN)
    journal._connection.execute("PRAGMA wal_autocheckpoint = 0")
    for number in range(1, tasks + 1):
        journal.record(life_of_a_call(number, number), float(number))
        written: list[int] = []
        journal.when_written(lambda written=written: written.append(1))
        while not written:
            journal._thread.join(0.005)
        if number == 1:
            with sqlite3.connect(folder / file_name) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # What comes later stays in the log.
    reader = sqlite3.connect(folder / file_name)
    reader.execute("SELECT count(*) FROM tasks").fetchone()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM tasks").fetchone()  # Who reads keeps the log from being removed.
    journal.close(reason)
    copy = folder.with_name(f"{folder.name}-dead")
    shutil.copytree(folder, copy)
    reader.close()
    return copy


def test_what_was_written_is_read_and_where_the_manager_was(tmp_path: Path) -> None:
    past = read_past(a_run(tmp_path / "run"), accept_losses=False)
    assert (past.host, past.port, past.run.run_id, past.lost_commits) == ("127.0.0.1", 4711, RUN, 0)
    assert sorted(past.run.tasks) == [1, 2, 3]


def test_a_run_that_has_ended_is_refused_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has ended \\(done\\): start a new one"):
        read_past(a_run(tmp_path / "run", reason="done"), accept_losses=False)


def test_a_log_that_was_cut_is_noticed_and_what_is_safe_is_said(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    log = run_dir / f"{file_name}-wal"
    with log.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(JournalDamaged, match=r"lacks its last [1-9] group commits.* 1 tasks, of which 1 had ended"):
        read_past(run_dir, accept_losses=False)
    past = read_past(run_dir, accept_losses=True)
    assert past.lost_commits > 0 and TaskId(1) in past.run.tasks and TaskId(3) not in past.run.tasks


def test_a_log_that_is_gone_is_noticed(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    (run_dir / f"{file_name}-wal").unlink()
    with pytest.raises(JournalDamaged, match="lacks its last"):
        read_past(run_dir, accept_losses=False)


def test_a_journal_that_is_empty_though_it_was_written_is_noticed(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    (run_dir / f"{file_name}-wal").unlink()
    (run_dir / file_name).write_bytes(b"")
    with pytest.raises(JournalDamaged, match="is empty, though"):
        read_past(run_dir, accept_losses=True)


def test_a_damaged_page_is_noticed(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run", tasks=20)
    whole = sqlite3.connect(run_dir / file_name)
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = whole.execute("SELECT rootpage FROM sqlite_master WHERE name = 'accepted'").fetchone()
    whole.close()
    with (run_dir / file_name).open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(JournalDamaged, match=r"is damaged .*the run cannot go on\. Safe is"):
        read_past(run_dir, accept_losses=True)


def test_a_journal_that_was_given_up_is_not_gone_on_from(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    (run_dir / file_name).chmod(0o400)
    with pytest.raises(JournalDamaged, match="could not be written to the end"):
        read_past(run_dir, accept_losses=True)


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    with sqlite3.connect(run_dir / file_name) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="use the vine that wrote it"):
        read_past(run_dir, accept_losses=True)


def test_a_run_has_one_manager(tmp_path: Path) -> None:
    first = lock(tmp_path)
    with pytest.raises(UsageError, match="has a manager"):
        lock(tmp_path)
    os.close(first)
    os.close(lock(tmp_path))
