"""What may a program do with an executor while it ends?"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

_HEAD = """
import atexit, os, sys, threading
from pathlib import Path
from tests.client.scripted import ScriptedManager
from vine import Executor, Manager

scripted = ScriptedManager(Path(sys.argv[1]))
"""


def ended(tmp_path: Path, program: str) -> tuple[int, str, str]:
    script = tmp_path / "script.py"
    script.write_text(_HEAD + textwrap.dedent(program))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_callbacks_run_before_the_program_has_ended(tmp_path: Path) -> None:
    """The interpreter's end waits for the pending calls, and for what they are to set off."""
    program = """
    executor = Executor(Manager(connection=scripted.connection))
    executor.submit(len, "abc").add_done_callback(lambda future: print(future.result(), flush=True))
    """
    assert ended(tmp_path, program) == (0, "3\n", "")


def test_calls_that_come_when_all_is_over_are_refused(tmp_path: Path) -> None:
    """RuntimeError, as the standard library's after the interpreter's shutdown: nobody would wait for them."""
    program = """
    def late():
        try:
            executor.submit(len, "abc")
        except RuntimeError as error:
            print(type(error).__name__, flush=True)

    atexit.register(late)  # Registered before vine's own: it is called after that.
    from vine.client import pool
    atexit.unregister(pool._at_exit)
    atexit.register(pool._at_exit)
    executor = Executor(Manager(connection=scripted.connection))
    """
    code, said, complained = ended(tmp_path, program)
    assert (code, complained) == (0, "")
    assert said == "RuntimeError\n"


def test_sys_exit_waits_for_the_calls_and_keeps_its_code(tmp_path: Path) -> None:
    program = """
    executor = Executor(Manager(connection=scripted.connection))
    for _ in range(3):
        executor.submit(os.write, 1, b"x")
    sys.exit(5)
    """
    assert ended(tmp_path, program) == (5, "xxx", "")


def test_an_unhandled_error_waits_for_the_calls_and_is_shown(tmp_path: Path) -> None:
    program = """
    executor = Executor(Manager(connection=scripted.connection))
    executor.submit(os.write, 1, b"x")
    raise ValueError("the program's own")
    """
    code, said, complained = ended(tmp_path, program)
    assert (code, said) == (1, "x")
    assert complained.endswith("ValueError: the program's own\n")
