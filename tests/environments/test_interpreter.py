"""An environment that brings its interpreter runs where there is no other, and takes nothing from where it was made."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.environments.made import BASE, PYTHON, virtualenv
from vine.content.archive import unpack
from vine.environments import note
from vine.environments.interpreter import Carried, carried
from vine.environments.pack import pack_virtualenv
from vine.errors import UsageError


@pytest.mark.live
def test_the_interpreter_and_its_library_come_along(tmp_path: Path) -> None:
    # given an environment with a module, packed with its interpreter, and removed
    made = virtualenv(tmp_path / "made", mine="VALUE = 7\n")
    packed = pack_virtualenv(made, tmp_path / "env.tar.zst", copy_interpreter=True)
    shutil.rmtree(made)
    there = tmp_path / "there"
    unpack(packed, there)
    # when it runs, with nothing of ours in its variables
    program = (
        "import json, sys, mine, ssl, sqlite3, os; print(json.dumps([sys.prefix, mine.VALUE, os.__file__, sys.path]))"
    )
    ended = subprocess.run([there / "bin" / "python", "-c", program], capture_output=True, text=True, env={})
    # then it finds its modules and its library beside it, and nothing elsewhere
    prefix, value, library, path = json.loads(ended.stdout)
    assert (prefix, value) == (str(there), 7)
    assert Path(library).is_relative_to(there)
    assert all(folder == "" or Path(folder).is_relative_to(there) for folder in path)
    # and the archive says that workers need no other one
    assert note.of_archive(packed) == note.Note(PYTHON, None, ())
    assert not (there / "pyvenv.cfg").exists()
    assert not (there / "lib" / f"python{PYTHON}" / "test").exists()


def test_modules_go_where_the_interpreter_looks_for_them() -> None:
    brought = Carried({"bin/python": Path(BASE)}, "lib/python3.11/site-packages", "local/lib/python3.11/dist-packages")
    assert brought.place("lib/python3.11/site-packages/a/b.py") == "local/lib/python3.11/dist-packages/a/b.py"
    assert brought.place("lib/python3.11/site-packages") == "local/lib/python3.11/dist-packages"
    assert brought.place("lib/python3.11/site-packages-other") == "lib/python3.11/site-packages-other"
    assert brought.place("pyvenv.cfg") == ""
    assert Carried().place("pyvenv.cfg") == "pyvenv.cfg"


def test_an_interpreter_that_cannot_move_is_refused_with_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\necho 'I am at home here' >&2\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    with pytest.raises(UsageError, match="I am at home here"):
        carried(tmp_path, tmp_path / "scratch")
