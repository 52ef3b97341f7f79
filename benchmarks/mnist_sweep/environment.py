"""What software do the tasks run on: a virtual environment with NumPy and scikit-learn, made once."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from vine.errors import VineError

REQUIREMENTS = ("numpy", "scikit-learn")


def build(cache: Path) -> Path:
    """The prefix of the environment below `cache`; built where it is not there yet."""
    recipe = "\n".join((sys.version, sys.base_prefix, *REQUIREMENTS))
    prefix = cache / f"environment-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    whole = prefix.with_name(prefix.name + ".whole")  # An interrupted build leaves a prefix without this.
    if whole.exists():
        return prefix
    shutil.rmtree(prefix, ignore_errors=True)
    venv.create(prefix, symlinks=True)
    install = [sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python"), "install", "--quiet"]
    command = [*install, "--disable-pip-version-check", *REQUIREMENTS]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise VineError(f"the tasks' environment could not be built ({reason}); is the package index reachable?")
    whole.touch()
    return prefix
