"""Does what an app wrote come to its file as the mode says?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parsl.app.errors import BadStdStreamFile

from vine.parsl.streams import Stream, appended

NO_FILE: Any = None  # Of the run: not looked at here.


def came(folder: Path, target: Path, mode: str, content: str | None = "new") -> None:
    spooled = folder / "spooled"
    if content is not None:
        spooled.write_text(content)
    appended(Stream(NO_FILE, str(spooled), str(target), mode))
    assert not spooled.exists()


@pytest.mark.parametrize(("mode", "content"), [("a", "oldnew"), ("a+", "oldnew"), ("w", "new"), ("w+", "new")])
def test_what_the_file_has_is_kept_or_replaced(tmp_path: Path, mode: str, content: str) -> None:
    (target := tmp_path / "out.txt").write_text("old")
    came(tmp_path, target, mode)
    assert target.read_text() == content


def test_folders_are_made(tmp_path: Path) -> None:
    came(tmp_path, tmp_path / "a" / "b" / "out.txt", "a+")
    assert (tmp_path / "a" / "b" / "out.txt").read_text() == "new"


def test_an_app_that_wrote_nothing_changes_nothing(tmp_path: Path) -> None:
    came(tmp_path, tmp_path / "out.txt", "w", content=None)
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize(("target", "mode"), [("file/out.txt", "w"), ("file", "x")])
def test_a_file_that_cannot_be_written_is_parsls_error(tmp_path: Path, target: str, mode: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadStdStreamFile):
        came(tmp_path, tmp_path / target, mode)
    assert not (tmp_path / "spooled").exists()
