"""Are we on the same host: does a path mean the same file to two processes?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vine.host import host_id


def test_two_processes_agree_on_a_folder_that_both_see(tmp_path: Path) -> None:
    program = "import sys; from vine.host import host_id; print(host_id(sys.argv[1]))"
    other = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == host_id(tmp_path)


def test_another_folder_at_the_same_path_is_another_host(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    before = host_id(folder)
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    assert host_id(folder) != before
    assert host_id(tmp_path / "moved") == before
