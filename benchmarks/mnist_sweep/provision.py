"""Where do tasks have their environment and dataset from, and did they take them from there?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import vine
from benchmarks.mnist_sweep.packing import Packages
from benchmarks.mnist_sweep.shared import Shared


@dataclass(frozen=True, slots=True)
class Provision:
    """How a distribution provides for the sweep's tasks."""

    bound: Mapping[str, Any]  # the executor's options that bring it
    digits: str | os.PathLike[str]  # the dataset's folder, as tasks name it
    fault: Callable[[str, str], str | None]  # of a task with this prefix and folder; None if it ran where it should


def staged(manager: vine.Manager, packages: Packages, cache: str, workspace: Path) -> Provision:
    """The tarballs are declared; workers have workspaces below the folder, and unpack there."""
    environment = manager.declare_environment(packages.environment.tarball, cache=cache)
    dataset = manager.declare_untar(manager.declare_file(packages.dataset.tarball, cache=cache), cache=cache)
    bound = {"environment": environment, "inputs": {"mnist": dataset}}
    return Provision(bound, "mnist", partial(foreign, workspace=workspace))


def in_place(shared: Shared) -> Provision:
    """Workers run on the shared environment's interpreter, and so do their tasks; nothing is declared."""
    return Provision({}, str(shared.dataset), partial(elsewhere, environment=shared.environment))


def foreign(prefix: str, sandbox: str, workspace: Path) -> str | None:
    """Why the interpreter of this prefix is none that the sandbox's worker has in its store; None if it is."""
    inside, around = Path(prefix), Path(sandbox)
    if inside.is_relative_to(workspace) and around.is_relative_to(workspace):
        store, worker = (path.relative_to(workspace).parts[:1] for path in (inside, around))
        if store and store[0].startswith("vine-store") and store != worker:
            return None
    return f"ran in {prefix}, which is not where its worker unpacks: its sandbox was {sandbox}"


def elsewhere(prefix: str, sandbox: str, environment: Path) -> str | None:
    """Why the interpreter of this prefix is not the shared one; None if it is."""
    return None if Path(prefix) == environment else f"ran in {prefix}, not in place in {environment}"
