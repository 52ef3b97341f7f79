from __future__ import annotations

from pathlib import Path

import pytest

from vine.errors import UsageError
from vine.views.writing import written_whole


def test_a_file_is_there_when_all_of_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("before")
    with written_whole(out) as file:
        file.write("all")
        file.flush()
        assert out.read_text() == "before"
    assert out.read_text() == "all"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_ends_in_the_midst_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("before")
    with pytest.raises(ZeroDivisionError), written_whole(out) as file:
        file.write("half")
        _ = 1 / 0
    assert out.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["no-folder/out", "a-file/out"])
def test_a_place_that_cannot_be_written_to_is_the_users_mistake(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(UsageError, match="name another file"), written_whole(tmp_path / name):
        pass
