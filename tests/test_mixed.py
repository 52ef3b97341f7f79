"""Is an installation that mixes ours with Celery's `vine` refused in words, and ours alone not?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vine.mixed
from vine.mixed import refuse_mixed_install

PACKAGE = Path(vine.mixed.__file__).parent


@pytest.mark.parametrize("module", ["vine", "vine.config", "vine.wire.messages"])
def test_importing_from_a_mixed_folder_says_what_is_wrong_and_what_to_do(tmp_path: Path, module: str) -> None:
    # Given our package with a file of the other project in its folder, as two installations leave it
    shutil.copytree(PACKAGE, tmp_path / "vine", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "vine" / "promises.py").write_text('"""Of the other project."""\n')
    # When somebody imports ours
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", f"import {module}"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    # Then the last line names both projects, the folder, the file and the remedy
    assert ended.returncode == 1
    last_line = ended.stderr.splitlines()[-1]
    assert last_line.startswith("ImportError: ")
    for words in ("vine-runtime", "Celery", str(tmp_path / "vine"), "promises.py", "uninstall both"):
        assert words in last_line


def test_ours_alone_is_not_refused() -> None:
    refuse_mixed_install()


@pytest.mark.parametrize("name", ["promises.py", "abstract.py", "funtools.py", "synchronization.py"])
def test_each_file_of_the_other_project_is_noticed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ImportError, match=name):
        refuse_mixed_install(str(tmp_path))


def test_none_of_the_names_looked_for_is_ours() -> None:
    ours = {path.name for path in PACKAGE.glob("*.py")}
    assert not ours.intersection(vine.mixed._FOREIGN)
