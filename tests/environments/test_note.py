"""What an archive says of itself is read without the rest; of others their names tell what they are."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.environments.made import PYTHON, virtualenv
from vine.environments import note
from vine.environments.note import Note
from vine.environments.pack import pack_tree, pack_virtualenv
from vine.errors import FileMissing, UnsafeArchive


def test_a_note_comes_back(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"x")
    says = Note("3.9", "/opt/python", ("numpy==1.26",))
    packed = pack_tree(tmp_path / "tree", tmp_path / "a.tar.zst", says=says)
    assert note.of_archive(packed) == says
    # and one that is unpacked and packed again has the new one only
    again = pack_tree(tmp_path / "tree", tmp_path / "b.tar.zst", says=Note("3.10"))
    assert note.of_archive(again) == Note("3.10")


def test_a_virtual_environment_says_what_it_needs(tmp_path: Path) -> None:
    packed = pack_virtualenv(virtualenv(tmp_path / "made"), tmp_path / "a.tar.zst")
    said = note.of_archive(packed)
    assert said.python == PYTHON
    assert said.base is not None
    assert (Path(said.base) / "bin").is_dir()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_other_archives_are_known_by_their_names(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "a", mode) as archive:
        for name in ("bin/python", "./lib/python3.8/os.py"):
            archive.addfile(tarfile.TarInfo(name))
    assert note.of_archive(tmp_path / "a") == Note("3.8")
    with tarfile.open(tmp_path / "b", mode) as archive:
        archive.addfile(tarfile.TarInfo("data"))
    assert note.of_archive(tmp_path / "b") == Note(None)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        note.of_archive(tmp_path / "nothing")
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(UnsafeArchive):
        note.of_archive(tmp_path / "text")
