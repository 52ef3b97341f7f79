"""How does an environment bring along the interpreter that it was made with, for workers that have none like it?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vine.environments.relocate import programs_outside
from vine.errors import UsageError

_TRIAL_S = 60  # An interpreter on a cold shared file system takes seconds to start.
_LEFT_OUT = ("site-packages", "dist-packages", "test", "idlelib", "ensurepip", "turtledemo")

_ASK_BASE = "import json, sysconfig; print(json.dumps([sysconfig.get_path(n) for n in ('stdlib', 'platstdlib')]))"
_ASK_COPY = "import json, site, sys; print(json.dumps([sys.prefix, sys.exec_prefix, site.getsitepackages()]))"


@dataclass(frozen=True, slots=True)
class Carried:
    """Files of the interpreter by their names in the environment, and where that looks for modules then."""

    files: dict[str, Path] = field(default_factory=dict)
    modules_from: str = ""  # "lib/python3.11/site-packages", as virtual environments have it
    modules_to: str = ""

    def place(self, name: str) -> str:
        """The name in the archive of what has this one in the environment; "" for what is left out."""
        if not self.files:
            return name
        if name == "pyvenv.cfg":
            return ""  # It would lead to the interpreter that is not there.
        if name == self.modules_from or name.startswith(self.modules_from + "/"):
            return self.modules_to + name[len(self.modules_from) :]
        return name


def carried(prefix: Path, scratch: Path) -> Carried:
    """The interpreter's program and its standard library, tried in `scratch`; UsageError if they cannot move.

    An interpreter finds its library below the folder above its program, if `lib/pythonX.Y/os.py` is there. What the
    library loads of the system (OpenSSL, say) is not brought along.
    """
    program = Path(os.path.realpath(prefix / "bin" / "python"))
    library, platform_library = map(Path, json.loads(_said(program, _ASK_BASE, program)))
    place = f"lib/{library.name}"
    trial = scratch / "trial"
    (trial / "bin").mkdir(parents=True)
    (trial / "lib").mkdir()
    shutil.copy(program, trial / "bin" / "python")
    (trial / place).symlink_to(library)
    files = programs_outside(prefix) or {"bin/python": program}
    for shared in (program.parent.parent / "lib").glob("libpython*.so*"):  # Some find it beside their own folder.
        files[f"lib/{shared.name}"] = Path(os.path.realpath(shared))
        (trial / "lib" / shared.name).symlink_to(shared)
    own_prefix, exec_prefix, modules = json.loads(_said(trial / "bin" / "python", _ASK_COPY, program))
    inside = [os.path.relpath(folder, trial) for folder in modules if Path(folder).is_relative_to(trial)]
    if Path(own_prefix) != trial or Path(exec_prefix) != trial or not inside:
        raise UsageError(
            f"{program} takes {own_prefix} for its folder when it runs from another one: make the environment with "
            "another Python, or pack it without its interpreter"
        )
    for folder in {library, platform_library}:
        files |= {f"{place}/{name}": folder / name for name in _names(str(folder))}
    return Carried(files, f"{place}/site-packages", inside[0])


def _names(folder: str, under: str = "") -> Iterator[str]:
    """The files of a standard library, without what other programs have added to it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not under and (entry.name in _LEFT_OUT or entry.name.startswith("config-")):
                continue
            if entry.is_dir():
                yield from _names(entry.path, f"{under}{entry.name}/")
            elif entry.is_file():
                yield under + entry.name


def _said(python: Path, program: str, base: Path) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        command = [str(python), "-I", "-c", program]
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=_TRIAL_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{base} cannot be brought along ({error}): pack without it, or use another Python") from error
    if ended.returncode != 0:
        why = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise UsageError(f"{base} cannot be brought along ({why}): pack without it, or use another Python")
    return ended.stdout
