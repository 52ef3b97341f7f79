"""What software do the tasks run on: a virtual environment with NumPy and scikit-learn, made once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from vine.errors import VineError

REQUIREMENTS = ("numpy", "scikit-learn")


def build(folder: Path, requirements: Sequence[str] = REQUIREMENTS, symlinks: bool = True) -> Path:
    """The prefix of the environment below `folder`; built where it is not there yet.

    Its interpreter is a link to this machine's, or a copy where `symlinks` is false.
    """
    recipe = "\n".join((sys.version, sys.base_prefix, *requirements, *(() if symlinks else ("copied",))))
    prefix = folder / f"environment-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    whole = prefix.with_name(prefix.name + ".whole")  # An interrupted build leaves a prefix without this.
    if whole.exists():
        return prefix
    shutil.rmtree(prefix, ignore_errors=True)
    venv.create(prefix, symlinks=symlinks)
    install = [sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python"), "install", "--quiet"]
    command = [*install, "--disable-pip-version-check", *requirements]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise VineError(f"the tasks' environment could not be built ({reason}); is the package index reachable?")
    whole.touch()
    return prefix


def site_packages(prefix: Path) -> Path:
    return prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def installed(prefix: Path) -> list[str]:
    """What is installed there, each with its version, as requirements by which another environment gets the same."""
    found = importlib.metadata.distributions(path=[str(site_packages(prefix))])
    return sorted(f"{distribution.metadata['Name']}=={distribution.version}" for distribution in found)
