"""Can the run in a directory be taken up again, and what of it is safe?"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vine.errors import JournalDamaged, UsageError, VineError
from vine.manager.journal import file_name
from vine.manager.replay import DAMAGE, open_to_read, read_run
from vine.manager.tally import commits_in, commits_told
from vine.scheduler.replayed import ReplayedRun
from vine.wire.keys import RunKeys, load_connection, load_run_keys
from vine.wire.parts import Role

_WRITABLE = 0o200


@dataclass(frozen=True, slots=True)
class Past:
    """A run that is to go on: what it was, and where its peers look for its manager."""

    run: ReplayedRun
    keys: RunKeys
    host: str
    port: int
    data_encryption: bool
    lost_commits: int  # group commits that the journal has had, and has no more


def lock(run_dir: Path) -> int:
    """The descriptor that keeps other managers off the run while it is open. UsageError if there is one."""
    descriptor = os.open(run_dir / "manager.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UsageError(
            f"the run in {run_dir} has a manager: connect to it by {run_dir}/connection.json, or end it first"
        ) from None
    return descriptor


def read_past(run_dir: Path, accept_losses: bool) -> Past:
    """What is needed to go on. UsageError if the run has ended; JournalDamaged if not all of it can be read."""
    path = run_dir / file_name
    if not path.stat().st_mode & _WRITABLE:
        raise JournalDamaged(
            f"the journal {path} could not be written to the end (was the disk full?), so that "
            "the run cannot go on; vine-status shows what there is; start a new run"
        )
    if commits_told(path) and not path.stat().st_size:
        raise JournalDamaged(
            f"the journal {path} is empty, though it was written to: the run cannot go on; start a new one"
        )
    connection = open_to_read(path)
    try:
        run, lost = _read_whole(connection, path, accept_losses)
    finally:
        connection.close()
    known = load_connection(run_dir, Role.CLIENT)
    host, _, port = known.endpoint.removeprefix("tcp://").rpartition(":")
    return Past(run, load_run_keys(run_dir), host.strip("[]"), int(port), known.data_encryption, lost)


def _read_whole(connection: sqlite3.Connection, path: Path, accept_losses: bool) -> tuple[ReplayedRun, int]:
    try:
        trouble = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if trouble != "ok":
            raise _damaged(connection, path, str(trouble).splitlines()[-1])
        facts: dict[str, Any] = dict(connection.execute("SELECT name, value FROM facts"))
        if "end_reason" in facts:
            raise UsageError(f"the run in {path.parent} has ended ({facts['end_reason']}): start a new one")
        lost = commits_told(path) - commits_in(connection)
        if lost > 0 and not accept_losses:
            raise JournalDamaged(
                f"the journal {path} lacks its last {lost} group commits: its log was cut, or the machine went down. "
                f"Safe is {_safe(connection)}. With --accept-losses the run goes on from there: what has ended later "
                "runs again, and what was submitted later fails"
            )
        return read_run(connection), max(0, lost)
    except VineError:
        raise  # Some of them are ValueErrors, too.
    except DAMAGE as error:
        raise _damaged(connection, path, str(error).splitlines()[0]) from None


def _damaged(connection: sqlite3.Connection, path: Path, trouble: str) -> JournalDamaged:
    return JournalDamaged(
        f"the journal {path} is damaged ({trouble}): the run cannot go on. Safe is {_safe(connection)}, and outputs "
        "that were brought to their paths; start a new run"
    )


def _safe(connection: sqlite3.Connection) -> str:
    """What can still be read, for people."""
    try:
        tasks, ended = connection.execute("SELECT count(*), count(outcome) FROM tasks").fetchone()
        (at_s,) = connection.execute("SELECT max(at_s) FROM statistics").fetchone()
    except sqlite3.Error:
        return "nothing of its tables"
    when = "" if at_s is None else f", as of {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at_s))}"
    return f"what it says of {tasks} tasks, of which {ended} had ended{when}"
