"""Who shares a folder is known, and who is dead is not taken for living."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from vine.content.members import Members, UsedElsewhereError, gate, remove, remove_what_was_going
from vine.errors import UsageError


def test_members_that_have_left_or_were_killed_live_no_more(tmp_path: Path) -> None:
    mine, other, killed = Members(tmp_path), Members(tmp_path), Members(tmp_path)
    names = [one.join() for one in (mine, other, killed)]
    assert mine.living() == {names[1], names[2]}
    killed.close()
    assert mine.living() == {names[1]}
    assert not mine.lives(names[2])
    other.leave()
    assert mine.living() == set()
    assert set(os.listdir(tmp_path / "members")) == {names[0], names[2]}, "what the killed one had is not given back"
    mine.forget(names[2])
    assert os.listdir(tmp_path / "members") == [names[0]]


def test_another_machine_cannot_join_those_that_live_but_follows_those_that_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Members(tmp_path)
    here.join()
    monkeypatch.setattr("vine.content.members.boot_id", lambda: "another")
    with pytest.raises(UsedElsewhereError):
        Members(tmp_path).join()
    here.close()
    Members(tmp_path).join()


def test_one_after_the_other_passes_the_gate_though_the_folder_goes(tmp_path: Path) -> None:
    root, inside, worst = tmp_path / "store", [], []

    def pass_through() -> None:
        for _ in range(50):
            with gate(root):
                inside.append(1)
                worst.append(len(inside))
                name = str(len(worst))
                inside.pop()
                remove_what_was_going(root)
                remove(root, name)

    threads = [threading.Thread(target=pass_through) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(worst), max(worst)) == (200, 1)
    assert os.listdir(tmp_path) == []


def test_a_folder_with_an_objects_folder_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    with pytest.raises(UsageError, match="not a store's"), gate(tmp_path):
        pass
    assert os.listdir(tmp_path) == ["objects"]


def test_what_cannot_be_a_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be a workspace"), gate(tmp_path / "file" / "store"):
        pass
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="somebody else's"), gate(tmp_path / "link"):
        pass


def test_what_others_have_put_where_a_going_folder_would_lie_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "store.lock").touch()
    (elsewhere / "data").write_bytes(b"data")
    (tmp_path / "store.1.going").symlink_to(elsewhere)
    (tmp_path / "store.2.going").symlink_to(tmp_path / "nothing")
    (tmp_path / "store.3.going").touch()
    remove_what_was_going(tmp_path / "store")
    assert (elsewhere / "data").read_bytes() == b"data"
    assert len(list(tmp_path.glob("*.going"))) == 3


def test_another_users_going_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going = tmp_path / "store.1.going"
    going.mkdir()
    (going / "store.lock").touch()
    monkeypatch.setattr(os, "geteuid", lambda: going.stat().st_uid + 1)
    remove_what_was_going(tmp_path / "store")
    assert going.exists()
    monkeypatch.undo()
    remove_what_was_going(tmp_path / "store")
    assert not going.exists()


def test_where_files_cannot_be_locked_is_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UsageError, match="--workspace on a local disk"), gate(tmp_path / "store"):
        raise AssertionError("unlocked")
