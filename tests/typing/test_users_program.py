"""Do our type hints reach a user's program where we are installed, and does a strict checker accept it?"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.live.helpers import ROOT

pytestmark = pytest.mark.live


def test_a_program_that_uses_all_there_is_passes_mypy_strict(tmp_path: Path) -> None:
    # given an interpreter in whose site-packages we are, which is where a checker asks for py.typed
    venv.create(tmp_path / "python", with_pip=False)
    (site,) = (tmp_path / "python").glob("lib/python*/site-packages")
    folders = [ROOT, ROOT / "workers", ROOT / "factory", sysconfig.get_path("purelib")]
    (site / "installed.pth").write_text("".join(f"{folder}\n" for folder in folders))
    program = tmp_path / "users_program.py"
    program.write_text((Path(__file__).parent / "users_program.py").read_text())
    # when it is checked as its user would
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}",
         f"--python-executable={tmp_path / 'python' / 'bin' / 'python'}", str(program)],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    # then
    assert ended.returncode == 0, ended.stdout + ended.stderr
