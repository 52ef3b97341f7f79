from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vine.manager.chores import Chores


def test_what_is_removed_is_gone_when_the_chores_are_done(tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b"x" * 1000)
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub").chmod(0o500)
    chores = Chores(tmp_path)
    chores.remove(str(tmp_path / "value"))
    chores.remove(str(tmp_path / "tree"))
    chores.close()
    assert os.listdir(tmp_path) == []


def test_a_name_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_bytes(b"old")
    chores = Chores(tmp_path)
    chores.remove(str(path))
    path.write_bytes(b"new")
    chores.close()
    assert path.read_bytes() == b"new"


def test_what_its_reader_has_removed_already_is_fine(tmp_path: Path) -> None:
    chores = Chores(tmp_path)
    chores.remove(str(tmp_path / "value"))
    chores.close()


@pytest.mark.parametrize("path", ["../other", "/etc/passwd", ".", "sub/../../other"])
def test_nothing_outside_of_the_staging_folder_is_removed(tmp_path: Path, path: str) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    (tmp_path / "other").write_bytes(b"")
    with pytest.raises(AssertionError):
        Chores(staging).remove(os.path.join(staging, path))
    assert (tmp_path / "other").exists()


def test_a_staged_file_gets_a_second_name_that_its_reader_may_remove(tmp_path: Path) -> None:
    path, second = tmp_path / "value", tmp_path / "value.client"
    path.write_bytes(b"value")
    Chores(tmp_path).copy(str(path), str(second))
    assert second.stat().st_ino == path.stat().st_ino
    second.unlink()
    assert path.read_bytes() == b"value"


def test_a_user_s_file_is_copied_so_that_changing_one_leaves_the_other_alone(tmp_path: Path) -> None:
    staging, path = tmp_path / "staging", tmp_path / "a"
    second = staging / "b"
    staging.mkdir()
    path.write_bytes(b"value")
    second.write_bytes(b"before")
    Chores(staging).copy(str(path), str(second))
    path.write_bytes(b"later")
    assert second.read_bytes() == b"value"


@pytest.mark.parametrize("place", ["staging", "of a user"])
def test_folders_are_copied_too(tmp_path: Path, place: str) -> None:
    staging, tree = tmp_path / "staging", tmp_path / place / "tree"
    staging.mkdir()
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(b"value")
    (tree / "link").symlink_to("sub/file")
    Chores(staging).copy(str(tree), str(staging / "second"))
    assert (staging / "second" / "link").read_bytes() == b"value"
    assert (staging / "second" / "link").is_symlink()


def test_a_copy_that_fails_is_told_to_the_log_and_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "value").write_bytes(b"value")
    (tmp_path / "folder").mkdir()
    Chores(tmp_path).copy(str(tmp_path / "value"), str(tmp_path / "folder"))
    assert "cannot be copied" in caplog.text
    assert sorted(os.listdir(tmp_path)) == ["folder", "value"]


def test_bytes_are_written_into_the_staging_folder_only(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    chores = Chores(tmp_path / "staging")
    chores.write(str(tmp_path / "staging" / "brought"), b"value")
    assert (tmp_path / "staging" / "brought").read_bytes() == b"value"
    with pytest.raises(AssertionError):
        chores.write(str(tmp_path / "elsewhere"), b"value")
    with pytest.raises(AssertionError):
        chores.copy(str(tmp_path / "staging" / "brought"), str(tmp_path / "elsewhere"))


def test_bytes_for_which_there_is_no_room_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, second: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "replace", full)
    Chores(tmp_path).write(str(tmp_path / "brought"), b"value")
    assert os.listdir(tmp_path) == []


def test_a_user_s_file_or_folder_is_gone_at_once_and_its_name_is_free(tmp_path: Path) -> None:
    folder, user = tmp_path / "staging", tmp_path / "user"
    folder.mkdir()
    (user / "tree").mkdir(parents=True)
    (user / "tree" / "file").write_bytes(b"x")
    (user / "file").write_bytes(b"old")
    chores = Chores(folder)
    for name in ("tree", "file", "never there"):
        chores.unlink(str(user / name))
    assert not (user / "tree").exists() and not (user / "file").exists()
    (user / "file").write_bytes(b"new")
    chores.close()
    assert os.listdir(user) == ["file"] and (user / "file").read_bytes() == b"new"


def test_what_cannot_be_removed_is_told_to_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: str, trash: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "value").touch()
    monkeypatch.setattr(os, "rename", full)
    Chores(tmp_path).remove(str(tmp_path / "value"))
    assert "value stays behind" in caplog.text


def test_a_user_s_file_with_as_long_a_name_as_a_file_system_takes_is_removed(tmp_path: Path) -> None:
    path = tmp_path / ("\u6570" * 84)
    path.write_bytes(b"value")
    chores = Chores(tmp_path / "staging")
    chores.unlink(str(path))
    chores.close()
    assert os.listdir(tmp_path) == []
