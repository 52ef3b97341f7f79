"""Does a declared file tell its user what it is, and what is in it?"""

from __future__ import annotations

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


def test_what_no_task_has_made_has_no_contents(manager: Manager) -> None:
    with pytest.raises(errors.TaskFailed, match="was never made"):
        manager.declare_temp().contents(timeout=30)
