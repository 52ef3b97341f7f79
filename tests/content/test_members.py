"""Who shares a folder is known, and who is dead is not taken for living."""

from __future__ import annotations

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
