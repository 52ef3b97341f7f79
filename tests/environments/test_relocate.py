"""Scripts and compiled modules stop naming where and when they were made."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from vine.environments.relocate import ACTIVATORS, compile_missing, interpreter, relocatable_script, timeless_pyc
from vine.errors import UsageError

PREFIX = Path("/some where/env")


@pytest.mark.parametrize(
    "head",
    [
        b"#!/some where/env/bin/python3\n",
        b"#!/some where/env/bin/python3 -E\n",
        b'#!"/some where/env/bin/python3"\n',
        b"#!/bin/sh\n'''exec' \"/some where/env/bin/python3\" \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\n'''exec' '/some where/env/bin/python3' \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_scripts_run_the_interpreter_beside_them(tmp_path: Path, head: bytes) -> None:
    # given a script of an environment, moved to another folder with its interpreter
    (tmp_path / "new place").mkdir()
    script = tmp_path / "new place" / "script"
    script.write_bytes(relocatable_script(head + b"import sys\nprint(sys.argv[1:], __file__)\n", PREFIX))
    script.chmod(0o755)
    (tmp_path / "new place" / "python3").symlink_to(sys.executable)
    # when it is started by a link to it
    (tmp_path / "link").symlink_to(script)
    said = subprocess.run([tmp_path / "link", "a b", "c"], capture_output=True, text=True, check=True).stdout
    # then it runs there, with its arguments
    assert said == f"['a b', 'c'] {tmp_path / 'link'}\n"


@pytest.mark.parametrize("data", [b"\x7fELF...", b"#!/usr/bin/perl\n", b"#!/other/env/bin/python\n", b"", b"#!"])
def test_other_programs_stay_as_they_are(data: bytes) -> None:
    assert relocatable_script(data, PREFIX) == data


def test_activators_are_known_by_name() -> None:
    assert all(ACTIVATORS.fullmatch(f"bin/{name}") for name in ("activate", "activate.fish", "Activate.ps1"))
    assert not ACTIVATORS.fullmatch("bin/activate-global-python-argcomplete")


def compiled(folder: Path, source: str = "x = 1\n") -> Path:
    (folder / "module.py").write_text(source)
    return Path(py_compile.compile(str(folder / "module.py"), doraise=True))  # type: ignore[arg-type]


def test_compiled_modules_stay_valid_when_their_source_gets_another_time(tmp_path: Path) -> None:
    place = compiled(tmp_path)
    data = timeless_pyc(place.read_bytes(), place)
    assert data is not None
    place.write_bytes(data)
    os.utime(tmp_path / "module.py", (1, 1))
    said = subprocess.run(
        [sys.executable, "-v", "-c", "import module"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stderr
    assert f"# code object from '{place}'" in said


def test_stale_compiled_modules_are_left_out(tmp_path: Path) -> None:
    place = compiled(tmp_path)
    (tmp_path / "module.py").write_text("x = 22\n")
    assert timeless_pyc(place.read_bytes(), place) is None
    assert timeless_pyc(b"short", place) is None


def test_compiled_modules_without_a_source_stay(tmp_path: Path) -> None:
    assert timeless_pyc(b"anything", tmp_path / "module.pyc") == b"anything"
    assert timeless_pyc(b"anything", tmp_path / "__pycache__" / "module.cpython-311.pyc") == b"anything"


def test_a_compiled_module_is_the_same_whenever_it_was_compiled(tmp_path: Path) -> None:
    place = compiled(tmp_path)
    first = timeless_pyc(place.read_bytes(), place)
    os.utime(tmp_path / "module.py", (5, 5))
    py_compile.compile(str(tmp_path / "module.py"), doraise=True)
    assert timeless_pyc(place.read_bytes(), place) == first


def fake_environment(prefix: Path, program: Path) -> Path:
    (prefix / "bin").mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text(f"home = {os.path.realpath(program.parent)}\n")
    (prefix / "bin" / "python").symlink_to(program)
    return prefix


def test_what_is_not_compiled_is_compiled_elsewhere(tmp_path: Path) -> None:
    prefix = fake_environment(tmp_path / "env", Path(os.path.realpath(sys.executable)))
    (prefix / "lib").mkdir()
    (prefix / "lib" / "good.py").write_text("x = 1\n")
    (prefix / "lib" / "bad.py").write_text("this is python 2?\n")
    (prefix / "lib" / "done.py").write_text("y = 1\n")
    py_compile.compile(str(prefix / "lib" / "done.py"), doraise=True)
    names = ["lib/good.py", "lib/bad.py", "lib/done.py", f"lib/__pycache__/done.{sys.implementation.cache_tag}.pyc"]
    made = compile_missing(prefix, names, tmp_path / "compiled")
    assert list(made) == [f"lib/__pycache__/good.{sys.implementation.cache_tag}.pyc"]
    assert all(path.is_relative_to(tmp_path / "compiled") for path in made.values())
    assert os.listdir(prefix / "lib" / "__pycache__") == [f"done.{sys.implementation.cache_tag}.pyc"]


def test_links_to_the_interpreter_become_the_interpreter(tmp_path: Path) -> None:
    program = Path(os.path.realpath(sys.executable))
    prefix = fake_environment(tmp_path / "env", program)
    (prefix / "bin" / "python3").symlink_to("python")
    assert interpreter(prefix, tmp_path / "trial")["bin/python"] == program
    assert "bin/python3" not in interpreter(prefix, tmp_path / "trial")


def test_an_interpreter_that_cannot_move_is_refused_with_its_own_words(tmp_path: Path) -> None:
    program = tmp_path / "base" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho cannot find my library >&2\nexit 1\n")
    program.chmod(0o755)
    prefix = fake_environment(tmp_path / "env", program)
    with pytest.raises(UsageError, match=r"cannot find my library.*conda-pack"):
        interpreter(prefix, tmp_path / "trial")


def test_a_library_beside_the_interpreter_comes_along_where_it_is_needed(tmp_path: Path) -> None:
    program = tmp_path / "base" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/bin/sh\nhere=$(dirname -- "$(dirname -- "$0")")\n[ -e "$here/lib/libpython3.so" ] && echo "$here"\n'
    )
    program.chmod(0o755)
    (tmp_path / "base" / "lib").mkdir()
    (tmp_path / "base" / "lib" / "libpython3.so").touch()
    added = interpreter(fake_environment(tmp_path / "env", program), tmp_path / "trial")
    assert added == {"bin/python": program, "lib/libpython3.so": tmp_path / "base" / "lib" / "libpython3.so"}
