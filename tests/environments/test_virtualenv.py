"""A virtual environment's own words, as venv, virtualenv and uv write them, are understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from vine.environments.virtualenv import base_of_virtualenv, is_virtualenv, python_of_virtualenv


@pytest.mark.parametrize("line", ["version = 3.9.18", "version_info = 3.9.18.final.0", "VERSION=3.9"])
def test_its_python_and_base_are_read(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /opt/python/bin\nimplementation = CPython\n{line}\n")
    assert python_of_virtualenv(tmp_path) == "3.9"
    assert base_of_virtualenv(tmp_path) == "/opt/python"


def test_what_says_nothing_has_none(tmp_path: Path) -> None:
    assert python_of_virtualenv(tmp_path) is None
    assert base_of_virtualenv(tmp_path) is None
    assert not is_virtualenv(tmp_path)
