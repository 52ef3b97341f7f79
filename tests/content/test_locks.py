"""An object in use is nobody's to give up, in this store and in others, until its last user is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vine.content.locks import Locks
from vine.errors import UsageError
from vine.names import ObjectId

KEY, OTHER = ObjectId("f" * 64), ObjectId("e" * 64)


def test_an_object_can_be_shared_by_many_and_taken_by_one(tmp_path: Path) -> None:
    first, second = Locks(tmp_path / "lock"), Locks(tmp_path / "lock")
    assert first.share(KEY)
    assert second.share(KEY)
    assert first.take(OTHER)
    assert not first.take(KEY), "its own use stands in its way too"
    second.end_share(KEY)
    assert not second.take(KEY)
    first.end_share(KEY)
    assert second.take(KEY)
    assert not first.share(KEY)
    assert not second.share(KEY), "nobody uses what it gives up itself"
    second.give_back(KEY)
    assert first.share(KEY)


def test_what_a_killed_process_had_is_free(tmp_path: Path) -> None:
    # given a process that shares one and has taken another
    program = (
        "import os, sys, pathlib; from vine.content.locks import Locks; locks = Locks(pathlib.Path(sys.argv[1]));"
        f"print(locks.share('{KEY}'), locks.take('{OTHER}'), flush=True); sys.stdin.read()"
    )
    path = tmp_path / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True True\n"
        locks = Locks(path)
        assert not locks.take(KEY)
        assert not locks.share(OTHER)
        # when it is killed, then both are free
        process.kill()
        process.wait()
        assert locks.take(KEY)
        assert locks.share(OTHER)


def test_where_files_cannot_be_locked_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks = Locks(tmp_path / "lock")

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.fcntl", refuse)
    with pytest.raises(UsageError, match="--workspace on a local disk"):
        locks.share(KEY)
