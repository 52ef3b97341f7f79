"""What runs in an environment has its programs and modules, and none of those of the one that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vine.environments.running import entrance, interpreter_in, variables_in


def test_our_modules_and_programs_do_not_show_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/ours")
    own = {
        "PYTHONPATH": "/ours/lib",
        "PYTHONHOME": "/ours",
        "PYTHONUSERBASE": "/users/me/.local",
        "VIRTUAL_ENV": "/ours",
        "CONDA_PREFIX": "/ours",
        "PYTHONUNBUFFERED": "1",
        "PATH": "/ours/bin:/usr/bin:/ours/bin/:/bin",
    }
    variables = variables_in(tmp_path, own)
    assert variables == {
        "VIRTUAL_ENV": str(tmp_path),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
    }
    (tmp_path / "conda-meta").mkdir()
    assert variables_in(tmp_path, own)["CONDA_PREFIX"] == str(tmp_path)
    assert "VIRTUAL_ENV" not in variables_in(tmp_path, own)


def test_a_python_that_is_nobodys_environment_keeps_its_folder_of_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    assert variables_in(tmp_path, {"PATH": "/usr/bin"})["PATH"] == f"{tmp_path}/bin:/usr/bin"


def test_of_a_worker_in_a_conda_environment_no_program_shows_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours" / "conda-meta").mkdir(parents=True)
    for prefix in ("prefix", "base_prefix"):  # To Python itself it is no environment.
        monkeypatch.setattr(sys, prefix, str(tmp_path / "ours"))
    path = variables_in(tmp_path / "env", {"PATH": f"{tmp_path}/ours/bin:/usr/bin"})["PATH"]
    assert path == f"{tmp_path}/env/bin:/usr/bin"


def test_an_entrance_is_used_where_there_is_one_that_runs(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    assert entrance(tmp_path) == []
    (tmp_path / "bin" / "run_in_env").write_text("#!/bin/sh\n")
    os.chmod(tmp_path / "bin" / "run_in_env", 0o644)
    (tmp_path / "bin" / "python3").touch()
    with pytest.raises(FileNotFoundError, match="no bin/python"):
        interpreter_in(tmp_path / "bin")
    assert interpreter_in(tmp_path) == f"{tmp_path}/bin/python3"
    (tmp_path / "bin" / "run_in_env").chmod(0o755)
    assert entrance(tmp_path) == [f"{tmp_path}/bin/run_in_env"]


def test_scripts_of_conda_packages_set_what_a_command_finds(tmp_path: Path) -> None:
    # given an environment with scripts that set variables, print, and play with their arguments
    folder = tmp_path / "etc" / "conda" / "activate.d"
    folder.mkdir(parents=True)
    (folder / "a.sh").write_text('export PROJ_DATA="$CONDA_PREFIX/share/proj"\necho activated\n')
    (folder / "b.sh").write_text("set -- lost\nexport ARGUMENTS=$#\n")
    (folder / "c.fish").write_text("exit 1\n")
    # when a command runs in it
    command = [*entrance(tmp_path), "/bin/sh", "-c", 'echo "$PROJ_DATA $ARGUMENTS $1"', "sh", "mine"]
    ended = subprocess.run(command, env=variables_in(tmp_path, os.environ), capture_output=True, text=True)
    # then it has the variables, its own arguments, and nothing else in its output
    assert ended.stdout == f"{tmp_path}/share/proj 1 mine\n"
    assert ended.stderr == "activated\n"
    # and an environment with an entrance of its own is left to that
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run_in_env").touch(mode=0o755)
    assert entrance(tmp_path) == [f"{tmp_path}/bin/run_in_env"]
