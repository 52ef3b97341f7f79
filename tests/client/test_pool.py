"""Does an executor own what it should, and end when it should?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from vine import errors
from vine.client.pool import fleet


@pytest.mark.live
def test_a_program_ends_only_when_its_submitted_calls_have(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, time
            from pathlib import Path
            from tests.client.scripted import ScriptedManager
            from vine import Executor, Manager

            scripted = ScriptedManager(Path({str(tmp_path)!r}) / "run")
            executor = Executor(Manager(connection=scripted.connection))
            for _ in range(20):
                executor.submit(os.write, 1, b"x")
            executor.shutdown(wait=False)
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, sys.path)])}
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "x" * 20


@pytest.mark.live
def test_a_program_that_a_ctrl_c_ends_does_not_wait_for_its_calls(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os
            from pathlib import Path
            from tests.client.scripted import ScriptedManager
            from vine import Executor, Manager

            scripted = ScriptedManager(Path({str(tmp_path)!r}) / "run")
            scripted.held.add("getpid")  # It never runs.
            executor = Executor(Manager(connection=scripted.connection))
            future = executor.submit(os.getpid)
            future.add_done_callback(lambda future: print(future.cancelled()))
            raise KeyboardInterrupt
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, sys.path)])}
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False)
    assert ended.stdout == "True\n"
    assert ended.returncode == -signal.SIGINT


def test_the_fleet_is_what_was_asked_for() -> None:
    assert fleet(None, None, None, needed=True) == (1, 1)
    assert fleet(None, None, None, needed=False) == (0, 0)
    assert fleet(3, None, None, needed=False) == (3, 3)
    assert fleet(None, 2, None, needed=True) == (2, 2)
    assert fleet(None, None, 8, needed=True) == (0, 8)
    with pytest.raises(errors.UsageError, match="more than"):
        fleet(None, 3, 2, needed=True)
    with pytest.raises(errors.UsageError, match="fixed number"):
        fleet(1, 1, None, needed=True)
