from __future__ import annotations

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
