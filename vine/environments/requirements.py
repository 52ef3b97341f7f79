"""How do requirements become an environment: with uv if it is here, else with pip?"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from vine.content import folders
from vine.errors import FileMissing, UsageError, VineError

_FILES = ("-r", "--requirement", "-c", "--constraint")


def build(lines: tuple[str, ...], folder: Path, prefix: Path) -> None:
    """Make a virtual environment at `prefix` with what the lines ask for; files that they name are in `folder`.

    Nothing is compiled: that is done when it is packed, so that the archive does not depend on where. VineError with
    the installer's last words if it cannot.
    """
    folders.remove(prefix)
    _run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], folder, "no virtual environment could be made")
    listed = prefix / "vine-requirements.txt"
    listed.write_text("".join(f"{_absolute(line, folder)}\n" for line in lines))
    python = str(prefix / "bin" / "python")
    if (uv := uv_program()) is not None:
        command = [uv, "pip", "install", "--quiet", "--no-progress", "--link-mode", "copy", "--python", python]
        command += ["-r", str(listed)]
    else:
        command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
        command += ["--disable-pip-version-check", "--no-input", "-r", str(listed)]
    try:
        _run(command, folder, f"{', '.join(lines)[:200]} could not be installed")
    except BaseException:
        folders.remove(prefix)
        raise
    listed.unlink()


def uv_program() -> str | None:
    """On PATH, or installed beside us."""
    own = os.path.dirname(sys.executable)
    return shutil.which("uv", path=os.pathsep.join((os.environ.get("PATH", os.defpath), own)))


def files_in(lines: tuple[str, ...], folder: Path) -> list[Path]:
    """The files that the lines name. UsageError for what an archive cannot carry, FileMissing for what is not there."""
    found = []
    for line in lines:
        if line.startswith(("-e", "--editable")):
            raise UsageError(f"the requirement {line!r} is editable, and would stay where it is: name it without that")
        option, name = _parted(line)
        if option in _FILES:
            path = folder / name
            if not path.is_file():
                raise FileMissing(f"{path}, which the requirements name, does not exist: check its name")
            found.append(path)
    return found


def _parted(line: str) -> tuple[str, str]:
    option, _, rest = (line.replace("=", " ", 1) if line.startswith("--") else line).partition(" ")
    return option, rest.strip()


def _absolute(line: str, folder: Path) -> str:
    option, name = _parted(line)
    return f"{option} {folder / name}" if option in _FILES else line


def pins_here() -> tuple[str, ...]:
    """All that is installed for the Python that runs this, as requirements. UsageError for what no index has."""
    pins = set()
    for distribution in importlib.metadata.distributions():
        if distribution.read_text("direct_url.json") is not None:
            raise UsageError(
                f"{distribution.metadata['Name']} was installed from a folder or URL, so it cannot be installed "
                "elsewhere by its name: make a virtual environment with it, and name that"
            )
        pins.add(f"{distribution.metadata['Name']}=={distribution.version}")
    return tuple(sorted(pins))


def _run(command: list[str], folder: Path, what: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    ended = subprocess.run(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode != 0:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines() or [f"exit code {ended.returncode}"]
        told = next((line for line in said if line.lstrip().lower().startswith("error")), said[-1])
        raise VineError(f"{what} ({' '.join(told.split())}): check the names, and that the package index is reachable")
