"""The tasks' environment is built once, and never taken for built when it is not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mnist_sweep import environment
from vine.errors import VineError


class Pip:
    """A stand-in for pip: installs nothing, with this exit code."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        return subprocess.CompletedProcess(command, self.code, "", "ERROR: no such host\n" if self.code else "")


def test_an_environment_is_built_once_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    prefix = environment.build(tmp_path)
    assert environment.build(tmp_path) == prefix
    assert (prefix / "pyvenv.cfg").is_file()
    assert [command[-2:] for command in pip.commands] == [["numpy", "scikit-learn"]]
    assert str(prefix / "bin" / "python") in pip.commands[0], "pip installs into it, not into our own"


def test_a_build_that_failed_is_one_line_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Pip(code=1))
    with pytest.raises(VineError, match="no such host") as caught:
        environment.build(tmp_path)
    assert "\n" not in str(caught.value)

    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    environment.build(tmp_path)
    assert len(pip.commands) == 1


def test_an_environment_of_other_requirements_or_with_a_copied_interpreter_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", pip := Pip())
    prefixes = [
        environment.build(tmp_path),
        environment.build(tmp_path, ["numpy==2.1.0"]),
        environment.build(tmp_path, ["numpy==2.1.0"], symlinks=False),
    ]
    assert len(set(prefixes)) == 3
    assert [command[-1] for command in pip.commands] == ["scikit-learn", "numpy==2.1.0", "numpy==2.1.0"]
    inside = [(prefix / "bin" / "python").resolve().is_relative_to(prefix) for prefix in prefixes]
    assert inside == [False, False, True]
