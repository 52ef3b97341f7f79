"""What does a user have on a shared filesystem before a run: an environment that runs in place, and the dataset."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.mnist_sweep import environment
from benchmarks.mnist_sweep.packing import Packages
from vine.errors import VineError

_OURS = ("vine", "vine_worker", "vine_function_host")


@dataclass(frozen=True, slots=True)
class Shared:
    """Two folders that every worker sees at these paths."""

    environment: Path
    dataset: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"


def prepare(folder: Path, packages: Packages) -> Shared:
    """Both below `folder`, made where they are not there yet.

    The environment has what the packed one has, in the same versions, and vine beside it: workers are started by
    its interpreter, so that calls run in place on what lies there. Its interpreter is a copy, as filesystems that
    are mounted from elsewhere may not follow links that lead out of them.
    """
    folder = folder.resolve()
    requirements = [*environment.installed(packages.environment.folder), *own_requirements()]
    shared = Shared(environment.build(folder, requirements, symlinks=False), folder / packages.dataset.folder.name)
    _install_ourselves(shared)
    shutil.copytree(packages.dataset.folder, shared.dataset, dirs_exist_ok=True)
    return shared


def own_requirements() -> list[str]:
    """What vine needs to run, in the versions that it runs on here."""
    declared = importlib.metadata.requires("vine-runtime") or ()
    needed = [requirement for requirement in map(Requirement, declared) if _is_for_here(requirement)]
    return [f"{each.name}=={importlib.metadata.version(each.name)}" for each in needed]


def _is_for_here(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _install_ourselves(shared: Shared) -> None:
    """Our packages as they are now: an editable installation would lead workers to another filesystem."""
    folders = []
    for name in _OURS:
        origin = importlib.import_module(name).__file__
        assert origin is not None, "our packages are folders of modules"
        folders.append(environment.site_packages(shared.environment) / name)
        shutil.rmtree(folders[-1], ignore_errors=True)
        shutil.copytree(Path(origin).parent, folders[-1], ignore=shutil.ignore_patterns("__pycache__"))
    # Workers may be unable to write there, and would compile each module at each start.
    command = [str(shared.python), "-I", "-m", "compileall", "-q", *map(str, folders)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        reason = ((ended.stderr or ended.stdout).strip().splitlines() or ["it said nothing"])[-1]
        raise VineError(f"vine could not be compiled for the shared environment ({reason})")
