"""How do requirements become an environment: with uv if it is here, else with pip?"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vine.content import folders
from vine.errors import FileMissing, UsageError, VineError

_FILES = ("-r", "--requirement", "-c", "--constraint")
_FOLDERS = ("-f", "--find-links")
_PACKED = (".whl", ".tar.gz", ".zip")
_REST = re.compile(r"\[[^\]]*\]\s*$|\s*;.*|\s+#.*|\s+--.*|\\$")  # Extras, markers, comments, options.


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


def files_in(lines: Iterable[str], folder: Path) -> list[Path]:
    """What the lines name here: further files of requirements, and those that these name, and distributions as files
    and folders.

    UsageError for what an archive cannot carry, FileMissing for a file of requirements that is not there.
    """
    found: list[Path] = []
    pending = [(line.strip(), folder) for line in lines]
    for line, beside in pending:
        if line.startswith(("-e", "--editable")):
            raise UsageError(f"the requirement {line!r} is editable, and would stay where it is: name it without that")
        option, name = _parted(line)
        if option in _FILES:
            path = Path(os.path.normpath(beside / name))
            if not path.is_file():
                raise FileMissing(f"{path}, which the requirements name, does not exist: check its name")
            if path not in found:
                found.append(path)
                pending += [(each.strip(), path.parent) for each in path.read_text().splitlines()]
        elif (name := _path_in(line)) and (path := folder / name).exists():
            found.append(path)  # From where installers run, whichever file names it.
    return found


def _path_in(line: str) -> str:
    """The file or folder that a requirement names instead of a version; "" if it names none."""
    if line.startswith(("-", "#")):
        return ""
    name = _REST.sub("", line.partition(" @ ")[2] or line).strip()
    if name.startswith("file:"):
        name = url2pathname(urlsplit(name).path)
    # As installers have it: a bare word is a distribution, whatever lies here.
    return name if os.sep in name or name.startswith(".") or name.endswith(_PACKED) else ""


def _parted(line: str) -> tuple[str, str]:
    option, _, rest = (line.replace("=", " ", 1) if line.startswith("--") else line).partition(" ")
    return option, rest.strip()


def _absolute(line: str, folder: Path) -> str:
    option, name = _parted(line)
    is_here = option in _FILES or (option in _FOLDERS and (folder / name).exists())
    return f"{option} {folder / name}" if is_here else line


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
