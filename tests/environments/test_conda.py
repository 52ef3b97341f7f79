"""A conda environment, packed by conda-pack, runs where it is unpacked; conda makes one of a specification."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.environments.made import PYTHON, conda_prefix
from vine.content.archive import unpack
from vine.content.relocation import relocate
from vine.environments import note
from vine.environments.conda import create, pack_conda, prefix_named, python_of_conda
from vine.errors import UsageError, VineError


@pytest.mark.live
def test_a_conda_environment_names_the_place_that_it_is_unpacked_to(tmp_path: Path) -> None:
    # given an environment as conda's records tell of it, packed by conda-pack
    prefix = conda_prefix(tmp_path / "env")
    packed = pack_conda(prefix, tmp_path / "env.tar.zst", tmp_path / "scratch")
    # when it is unpacked elsewhere and made to run there
    there = tmp_path / "there"
    unpack(packed, there)
    relocate(there, there)
    # then nothing names the old prefix or a placeholder any more, and the script runs by the interpreter beside it
    for name in ("bin/tool", "lib/tool.bin", "share/tool.cfg"):
        content = (there / name).read_bytes()
        assert str(prefix).encode() + b"/" not in content, name
        assert b"placehold_" not in content, name
        assert str(there).encode() in content, name
    assert (there / "lib" / "tool.bin").read_bytes().endswith(b"\0end\0")
    assert (there / "share" / "plain.txt").read_bytes() == b"plain\n"
    assert os.access(there / "bin" / "tool", os.X_OK)
    ended = subprocess.run([there / "bin" / "tool"], capture_output=True, text=True, env={"PATH": f"{there}/bin"})
    assert str(there) in ended.stdout, ended.stderr
    # and the archive says what is in it
    assert note.of_archive(packed) == note.Note(PYTHON, None, (f"python=={PYTHON}.1", "tool==1.0"))
    assert not (tmp_path / "scratch").exists()


@pytest.mark.live
def test_the_same_environment_is_the_same_archive(tmp_path: Path) -> None:
    prefix = conda_prefix(tmp_path / "env")
    one = pack_conda(prefix, tmp_path / "one.tar.zst", tmp_path / "scratch")
    two = pack_conda(prefix, tmp_path / "two.tar.zst", tmp_path / "scratch2")
    assert one.read_bytes() == two.read_bytes()


def test_what_conda_pack_refuses_is_told_in_a_line(tmp_path: Path) -> None:
    prefix = conda_prefix(tmp_path / "env")
    info = prefix / "lib" / f"python{PYTHON}" / "site-packages" / "mine-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    with pytest.raises(VineError, match=r"cannot be packed.*editable") as caught:
        pack_conda(prefix, tmp_path / "env.tar.zst", tmp_path / "scratch")
    assert "\n" not in str(caught.value)


def test_an_environment_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = conda_prefix(tmp_path / "envs" / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("CONDA_EXE", "MAMBA_EXE", "MAMBA_ROOT_PREFIX", "CONDA_ENVS_PATH"):
        monkeypatch.delenv(variable, raising=False)
    assert prefix_named("mine") is None
    monkeypatch.setenv("CONDA_ENVS_PATH", str(tmp_path / "envs"))
    assert prefix_named("mine") == prefix
    monkeypatch.delenv("CONDA_ENVS_PATH")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"/gone/mine\n{prefix}\n")
    assert prefix_named("mine") == prefix
    assert python_of_conda(prefix) == PYTHON
    # and those of micromamba, and the one that conda itself is in
    (tmp_path / ".conda" / "environments.txt").unlink()
    monkeypatch.setenv("MAMBA_ROOT_PREFIX", str(tmp_path))
    assert prefix_named("mine") == prefix
    assert prefix_named("base") is None
    monkeypatch.setenv("CONDA_EXE", str(prefix / "bin" / "conda"))
    assert prefix_named("base") == prefix


CONDA = """#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --prefix) prefix="$2";; --file) file="$2";; esac
  shift
done
test -n "$FAILS" && { echo "Solving environment: failed" >&2; exit 1; }
mkdir -p "$prefix/conda-meta" && cp "$file" "$prefix/asked"
"""


def test_a_specification_is_made_by_the_conda_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a program that takes conda's arguments
    program = tmp_path / "bin" / "conda"
    program.parent.mkdir()
    program.write_text(CONDA)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    # when it makes an environment, then it was given what the specification says
    create(json.dumps({"dependencies": ["numpy"]}), tmp_path / "made")
    assert json.loads((tmp_path / "made" / "asked").read_text()) == {"dependencies": ["numpy"]}
    # and where it cannot, its last words are told
    monkeypatch.setenv("FAILS", "yes")
    with pytest.raises(VineError, match="Solving environment: failed"):
        create("{}", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "made"]


def test_without_conda_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CONDA_EXE", raising=False)
    with pytest.raises(UsageError, match="needs conda"):
        create("{}", tmp_path / "made")
