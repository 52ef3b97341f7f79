"""Requirements become an environment by uv or by pip, and what was installed is recorded."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest

from tests.environments.made import offline, wheel
from vine.content.archive import unpack
from vine.environments import note
from vine.environments.cache import Cache
from vine.environments.requirements import files_in, pins_here, uv_program
from vine.environments.sources import Requirements
from vine.errors import FileMissing, UsageError, VineError


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one that is here."""
    assert uv_program() is not None, "uv is one of the tests' requirements"
    if request.param == "pip":
        monkeypatch.setattr("vine.environments.requirements.uv_program", lambda: None)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return str(request.param)


@pytest.mark.live
def test_what_is_asked_for_is_installed_packed_and_recorded(installer: str, tmp_path: Path) -> None:
    # given wheels of two versions, and a cache that is empty
    wheel(tmp_path / "wheels", "mine", "1.0")
    wheel(tmp_path / "wheels", "mine", "2.0", "VALUE = 2\n")
    (tmp_path / "more.txt").write_text("mine<2\n")
    source = Requirements(tuple(offline(tmp_path / "wheels", "-r more.txt")), tmp_path)
    # when the requirements are packed twice, the second time without the first archive
    one = Cache(folder=tmp_path / "cache").archive_of(source)
    first = one.read_bytes()
    one.unlink()
    two = Cache(folder=tmp_path / "cache").archive_of(source)
    # then the bytes are the same, the version is the one asked for, its script runs, and nothing else is left
    assert two.read_bytes() == first
    assert note.of_archive(two).pins == ("mine==1.0",)
    unpack(two, tmp_path / "there")
    said = subprocess.run([tmp_path / "there" / "bin" / "say-mine"], capture_output=True, text=True, check=True)
    assert said.stdout == "said by mine\n"
    assert [path.name for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")] == [two.name]


@pytest.mark.live
def test_files_that_are_named_are_found_from_the_folder_of_the_requirements(installer: str, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "mine")
    wheel(tmp_path / "deep" / "own", "other")
    lines = ("--no-index", "--find-links ./wheels", "mine", "./deep/own/other-1.0-py3-none-any.whl")
    packed = Cache(folder=tmp_path / "cache").archive_of(Requirements(lines, tmp_path))
    assert note.of_archive(packed).pins == ("mine==1.0", "other==1.0")


@pytest.mark.live
def test_what_cannot_be_had_is_named_in_a_line(installer: str, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    source = Requirements(tuple(offline(tmp_path / "wheels", "not-to-be-had")), tmp_path)
    with pytest.raises(VineError, match=r"not-to-be-had.* could not be installed") as caught:
        Cache(folder=tmp_path / "cache").archive_of(source)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("*.build*"))


def test_editable_ones_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="editable"):
        files_in(("-e .",), tmp_path)
    with pytest.raises(FileMissing, match=r"nothing\.txt"):
        files_in(("numpy", "--constraint=nothing.txt"), tmp_path)
    assert files_in(("numpy", "--index-url x"), tmp_path) == []


def test_what_was_installed_from_a_folder_is_no_requirement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    found = list(importlib.metadata.distributions(path=[str(tmp_path)]))
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)
    assert pins_here() == ("mine==1.0",)
    (info / "direct_url.json").write_text("{}")
    with pytest.raises(UsageError, match="mine was installed from a folder"):
        pins_here()
