"""Does Parsl's own test suite, which is in its distribution, pass on the executor?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import parsl
import pytest

from tests.live import helpers

SUITE = Path(parsl.__file__).parent / "tests"
# Those that run with whatever configuration they are given; the others bring configurations of their own.
FOLDERS = ("test_bash_apps", "test_python_apps", "test_callables.py", "test_docs", "test_error_handling")
FOLDERS += ("test_regression", "test_staging", "unit")
CONFIGURATION = """
from parsl.config import Config
from vine.parsl import ManagerConfig, VineExecutor

def fresh_config():
    executor = VineExecutor(manager_config=ManagerConfig(shared_fs={shared_fs}))
    return Config(executors=[executor], strategy="none", usage_tracking=0)
"""
# Those that need the network, and those that expect root to be unable to write somewhere, fail on every executor.
EVERYWHERE = "not cleannet and not unix_filesystem_permissions_required"


@pytest.mark.parametrize(
    ("shared_fs", "which", "passed_least"),
    [
        (None, EVERYWHERE, 142),  # of the oldest Parsl that we take; 143 of 2026.10
        # One of those that want a shared filesystem asserts that an app sees its file under the client's path.
        (False, f"{EVERYWHERE} and not test_behavior", 141),
    ],
    ids=["as it comes", "all files staged"],
)
def test_parsls_own_suite_passes(tmp_path: Path, shared_fs: bool | None, which: str, passed_least: int) -> None:
    (tmp_path / "configuration.py").write_text(CONFIGURATION.format(shared_fs=shared_fs))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # Not ours, nor Parsl's, which stops at the first failure.
    # The suite comes before its own option, which pytest knows only when it has found the suite.
    ours = ["-q", "-p", "no:cacheprovider", "-c", "pytest.ini", f"--confcutdir={SUITE}", "--timeout", "60"]
    suite = [str(SUITE / name) for name in FOLDERS]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *ours, "-k", which, *suite, "--config", "configuration.py"],
        cwd=tmp_path, env=helpers.variables(), capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    said = ended.stdout[-5000:] + ended.stderr[-2000:]
    counted = re.search(r"(\d+) passed", said)
    assert ended.returncode == 0 and counted is not None, said
    assert int(counted[1]) >= passed_least, said
