"""What users call an environment is recognised, and its key changes just when an archive of it would."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environments.made import PYTHON, conda_prefix, virtualenv, wheel
from vine.environments.sources import Conda, Poncho, Requirements, Virtualenv, lines_of, recognise, state_of
from vine.errors import FileMissing, UsageError


def test_each_kind_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = virtualenv(tmp_path / "venv")
    conda = conda_prefix(tmp_path / "envs" / "mine")
    monkeypatch.setenv("CONDA_ENVS_PATH", str(tmp_path / "envs"))
    (tmp_path / "needs.txt").write_text("numpy  # for arrays\n\n# more\nscipy\n")
    (tmp_path / "spec.json").write_text(json.dumps({"conda": {"dependencies": ["numpy"]}}))
    (tmp_path / "env.tar.gz").write_bytes(b"")
    assert recognise(made) == Virtualenv(made)
    assert recognise(str(made), copy_interpreter=True) == Virtualenv(made, True)
    assert recognise(conda) == recognise("mine") == Conda(conda)
    assert recognise(tmp_path / "needs.txt") == Requirements(("numpy", "scipy"), tmp_path, str(tmp_path / "needs.txt"))
    assert recognise(["numpy", "scipy"]) == Requirements(("numpy", "scipy"), Path.cwd())
    assert isinstance(recognise(tmp_path / "spec.json"), Poncho)
    assert isinstance(recognise({"conda": {"dependencies": [{"pip": ["numpy"]}]}}), Requirements)
    assert recognise(tmp_path / "env.tar.gz") == tmp_path / "env.tar.gz"
    assert [source.python for source in (Virtualenv(made), Conda(conda), Requirements(("a",), tmp_path))] == [
        PYTHON
    ] * 3


def test_the_current_environment_is_the_one_that_this_runs_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = virtualenv(tmp_path / "venv")
    monkeypatch.setattr(sys, "prefix", str(made))
    assert recognise("current") == Virtualenv(made)
    # and where there is only the interpreter itself, what is installed for it
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr("vine.environments.requirements.pins_here", lambda: ("numpy==2.0",))
    found = recognise("current")
    assert isinstance(found, Requirements)
    assert found.lines == ("numpy==2.0",)


@pytest.mark.parametrize(
    ("what", "error", "match"),
    [
        ("nothing-of-that-name", FileMissing, "no environment at"),
        ("not/there.tar", FileMissing, "no environment at"),
        (".", UsageError, "no pyvenv.cfg and no conda-meta"),
        (7, UsageError, "is no environment"),
        ([], UsageError, "no requirements"),
        ([7], UsageError, "are no requirements"),
        (b"x", UsageError, "is no environment"),
    ],
)
def test_what_is_none_is_refused(
    what: Any, error: type[Exception], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        recognise(what)


def test_a_key_lives_as_long_as_nothing_in_the_folder_changes(tmp_path: Path) -> None:
    made = virtualenv(tmp_path / "venv", mine="VALUE = 1\n")
    before = Virtualenv(made).key()
    assert Virtualenv(made).key() == before
    assert Virtualenv(made, True).key() != before
    module = made / "lib" / f"python{PYTHON}" / "site-packages" / "mine.py"
    status = module.stat()
    module.write_text("VALUE = 2\n")
    os.utime(module, ns=(status.st_atime_ns, status.st_mtime_ns))  # As some tools do.
    changed = Virtualenv(made).key()
    assert changed != before
    module.unlink()
    assert Virtualenv(made).key() != changed
    assert state_of(made) == state_of(made / "bin" / "..")


def test_requirements_have_a_key_by_content_and_not_by_order(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("scipy\n")
    key = Requirements(("numpy", "-r more.txt"), tmp_path).key()
    assert Requirements(("-r more.txt", "numpy"), tmp_path).key() == key
    (tmp_path / "more.txt").write_text("scipy==1.0\n")
    assert Requirements(("numpy", "-r more.txt"), tmp_path).key() != key


def test_requirements_have_another_key_when_what_they_name_here_changes(tmp_path: Path) -> None:
    # given requirements that name a file of them, which names another one and a wheel, and a project's folder
    (tmp_path / "more.txt").write_text("-r deep/deepest.txt\n")
    project = tmp_path / "project"
    for folder in (tmp_path / "deep", project / "src"):
        folder.mkdir(parents=True)
    (tmp_path / "deep" / "deepest.txt").write_text("./deep/mine-1.0-py3-none-any.whl\n-r ../more.txt\n")
    own = wheel(tmp_path / "deep", "mine")
    (project / "src" / "own.py").write_text("")
    source = Requirements(("-r more.txt", f"own[extra] @ file://{project} ; python_version > '3'", "src"), tmp_path)
    keys = [source.key()]
    # when either changes, then so does the key
    own.write_bytes(b"another build")
    keys.append(source.key())
    (project / "src" / "own.py").write_text("VALUE = 1")
    keys.append(source.key())
    (tmp_path / "deep" / "deepest.txt").write_text("numpy\n")
    keys.append(source.key())
    assert len(set(keys)) == 4
    # but not by what a build leaves in the project
    (project / "build" / "lib").mkdir(parents=True)
    (project / "build" / "lib" / "own.py").write_text("")
    (project / "src" / "own.egg-info").mkdir()
    (project / "src" / "own.egg-info" / "PKG-INFO").write_text("")
    assert source.key() == keys[-1]


def test_an_interpreter_is_brought_along_in_each_form_that_is_made_here(tmp_path: Path) -> None:
    (tmp_path / "needs.txt").write_text("numpy\n")
    for environment in (["numpy"], tmp_path / "needs.txt", {"conda": {"dependencies": [{"pip": ["numpy"]}]}}):
        with_it, without = (recognise(environment, copy_interpreter=copied) for copied in (True, False))
        assert isinstance(with_it, Requirements)
        assert isinstance(without, Requirements)
        assert (with_it.copy_interpreter, without.copy_interpreter) == (True, False)
        assert with_it.key() != without.key()
    (tmp_path / "env.tar.gz").write_bytes(b"")
    with pytest.raises(UsageError, match="is packed already"):
        recognise(tmp_path / "env.tar.gz", copy_interpreter=True)


def test_comments_are_no_requirements() -> None:
    assert lines_of("# one\n\nnumpy # two\n") == ("numpy",)
    with pytest.raises(UsageError, match="more than"):
        lines_of("numpy\n" * 20_000)
