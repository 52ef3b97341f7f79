"""Do the tutorial's programs print what it says they do?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.helpers import ROOT, variables
from tests.waiting import GIVE_UP_S

_PROGRAMS = re.findall(
    r"## ([^\n]*)\n(?:(?!## ).)*?```python\n(.*?)```\n\n```\n(.*?)```",
    (ROOT / "docs" / "tutorial.md").read_text(),
    re.DOTALL,
)


def lines(output: str) -> list[str]:
    """Tasks end in any order, and how much memory one has when it is stopped is chance."""
    return sorted(re.sub(r"used \d+ MB", "used some MB", line).rstrip() for line in output.splitlines())


def test_the_tutorial_has_programs() -> None:
    assert [title for title, _, _ in _PROGRAMS] == ["Calls", "Files and commands", "When it goes wrong"]


@pytest.mark.parametrize(("program", "output"), [pytest.param(*rest, id=title) for title, *rest in _PROGRAMS])
def test_a_program_of_the_tutorial_prints_what_is_underneath(program: str, output: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    ended = subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, timeout=GIVE_UP_S, cwd=tmp_path, env=variables()
    )
    assert ended.returncode == 0, ended.stderr
    assert lines(ended.stdout) == lines(output)
