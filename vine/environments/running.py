"""How does a program run in an unpacked environment, and see nothing of the one that starts it?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

# With these in its way an environment's interpreter would find other modules than its own.
_FOREIGN = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "VIRTUAL_ENV",
)


_ACTIVATION = Path("etc", "conda", "activate.d")
# In a function, so that no script sees or changes the command's arguments; what scripts print is no task's output.
_ACTIVATE = (
    'activate() { for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do . "$script"; done; }; activate >&2; '
    'unset -f activate; exec "$@"'
)


def variables_in(environment: Path, own: Mapping[str, str]) -> dict[str, str]:
    """Our own variables as a program in the environment is to have them: its programs and modules, and not ours."""
    variables = {name: value for name, value in own.items() if name not in _FOREIGN}
    variables["PYTHONNOUSERSITE"] = "1"
    by_conda = (environment / "conda-meta").is_dir() or (environment / _ACTIVATION).is_dir()
    variables["CONDA_PREFIX" if by_conda else "VIRTUAL_ENV"] = str(environment)
    variables["PATH"] = f"{environment / 'bin'}:{_path_of_others(own.get('PATH', os.defpath))}"
    return variables


def entrance(environment: Path) -> list[str]:
    """What sets up the rest of what an environment needs, and then runs the command that follows; most have none.

    That is its own program, by TaskVine's convention, or else a shell that goes through the scripts by which conda's
    packages set variables (where `conda activate` would; in bash, for which most are written, if there is one).
    """
    program = environment / "bin" / "run_in_env"
    if os.access(program, os.X_OK):
        return [str(program)]
    if any((environment / _ACTIVATION).glob("*.sh")):
        return [shutil.which("bash") or "/bin/sh", "-c", _ACTIVATE, "activate"]
    return []


def interpreter_in(environment: Path) -> str:
    """FileNotFoundError if it has none."""
    for name in ("python", "python3"):
        if (program := environment / "bin" / name).exists():
            return str(program)
    raise FileNotFoundError("its environment has no bin/python; pack one that has")


def _path_of_others(path: str) -> str:
    """The folders of programs but for those of the environment that we run in, virtual or conda's."""
    if sys.prefix == sys.base_prefix and not (Path(sys.prefix) / "conda-meta").is_dir():
        return path
    own = os.path.join(sys.prefix, "bin")
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if os.path.normpath(folder or ".") != own)
