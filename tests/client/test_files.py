"""Does a declared file tell its user what it is, and what is in it?"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from vine import errors
from vine.client.manager import Manager


def test_a_file_tells_where_it_comes_from_and_of_what_kind_it_is(manager: Manager, tmp_path: Path) -> None:
    local, url = manager.declare_file(tmp_path / "x"), manager.declare_url("https://example.org/x")
    assert (local.source(), local.type()) == (str(tmp_path / "x"), "local")
    assert (url.source(), url.type()) == ("https://example.org/x", "url")
    assert [(file.source(), file.type()) for file in (manager.declare_buffer(b"x"), manager.declare_temp())] == [
        (None, "buffer"),
        (None, "temp"),
    ]


def test_contents_are_bytes_or_what_is_made_of_them(manager: Manager) -> None:
    file = manager.declare_buffer(pickle.dumps([1, 2]))
    assert file.contents() == pickle.dumps([1, 2])
    assert file.contents(pickle.loads) == [1, 2]


def test_the_contents_of_a_small_buffer_are_what_was_declared_whatever_lies_at_its_path(manager: Manager) -> None:
    file = manager.declare_buffer(b"declared")
    file.path().write_bytes(b"")  # As another thread would find it that reads while one writes.
    assert file.contents() == b"declared"


def test_the_path_of_a_small_buffer_is_never_there_in_part_and_is_written_once(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[bytes] = []
    rename = os.replace

    def look_and_rename(source: str, destination: Path) -> None:
        assert not destination.exists()
        renamed.append(Path(source).read_bytes())
        rename(source, destination)

    monkeypatch.setattr(os, "replace", look_and_rename)
    file = manager.declare_buffer(b"declared")
    assert [file.path().read_bytes(), file.path().read_bytes()] == [b"declared"] * 2
    assert renamed == [b"declared"]


def test_what_no_task_has_made_has_no_contents(manager: Manager) -> None:
    with pytest.raises(errors.TaskFailed, match="was never made"):
        manager.declare_temp().contents(timeout=30)
