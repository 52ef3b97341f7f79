"""What in a virtual environment names the folder that it lies in, and what takes its place?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from vine.content.paths import leads_out
from vine.errors import UsageError

# They set variables to the environment's folder in many dialects of shell. Tasks get these variables anyway.
ACTIVATORS = re.compile(r"bin/(activate(\..*)?|Activate\.ps1|deactivate(\..*)?)")

_PYC_HEADER_BYTES = 16  # Magic, flags, then the source's time and size, or its hash.
_PYC_BY_TIME = bytes(4)
_PYC_UNCHECKED = (1).to_bytes(4, "little")  # Valid whatever lies beside it.
_TRIAL_S = 60  # An interpreter on a cold shared file system takes seconds to start.


def timeless_pyc(data: bytes, place: Path) -> bytes | None:
    """Compiled Python whose validity does not depend on its source's time; None if it is stale."""
    source = place.parent.parent / f"{place.name.partition('.')[0]}.py"
    if place.parent.name != "__pycache__" or not source.is_file():
        return data  # Modules that come without a source are not compared with it.
    if len(data) < _PYC_HEADER_BYTES or (data[4:8] == _PYC_BY_TIME and not _is_current(data, source)):
        return None
    # Python does not compare this hash, but it tells one source from another.
    source_hash = blake3(source.read_bytes()).digest(length=8)
    return data[:4] + _PYC_UNCHECKED + source_hash + data[_PYC_HEADER_BYTES:]


def _is_current(data: bytes, source: Path) -> bool:
    status = source.stat()
    noted = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
    return noted == (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)


def relocatable_script(data: bytes, prefix: Path) -> bytes:
    """A script that runs the interpreter beside it, made of one that names the environment's folder."""
    folder = re.escape(os.fsencode(prefix))
    plain = re.match(rb"#! ?\"?" + folder + rb"/bin/([^\s/\"]+)[^\n]*\n", data)
    # As pip and uv write it where the folder's name is long or has spaces.
    wrapped = re.match(rb"#!/bin/sh\n'''exec' [\"']?" + folder + rb"/bin/([^\s/\"']+)[^\n]*\n' '''\n", data)
    found = plain or wrapped
    if found is None:
        return data
    # To sh the second line starts the interpreter; to Python lines two and three are a string.
    start = b'#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")/%b" "$0" "$@"\n\' \'\'\'\n' % found[1]
    return start + data[found.end() :]


def programs_outside(prefix: Path) -> dict[str, Path]:
    """The programs that take the place of links which lead out of bin/."""
    links = {f"bin/{path.name}": path for path in (prefix / "bin").iterdir() if path.is_symlink()}
    return {
        name: Path(os.path.realpath(path))
        for name, path in links.items()
        if leads_out(name, os.readlink(path), {}) and path.is_file()
    }


def interpreter(prefix: Path, trial: Path) -> dict[str, Path]:
    """The programs that take the place of links which lead out of bin/, tried in the folder `trial`."""
    added = programs_outside(prefix)
    program = Path(os.path.realpath(prefix / "bin" / "python"))
    fault = _try(prefix, program, {}, trial)
    if fault is not None:
        # Some find their library beside their own folder.
        libraries = {f"lib/{path.name}": path for path in (program.parent.parent / "lib").glob("libpython*.so*")}
        added |= libraries
        fault = _try(prefix, program, libraries, trial)
    if fault is not None:
        raise UsageError(
            f"{prefix}/bin/python does not run from another folder ({fault}): make the environment with another "
            "Python, or pack it with conda-pack"
        )
    return added


def _try(prefix: Path, program: Path, libraries: dict[str, Path], trial: Path) -> str | None:
    """Run a copy of the interpreter from another folder; what went wrong, or None."""
    shutil.rmtree(trial, ignore_errors=True)
    for name, source in {"bin/python": program, "pyvenv.cfg": prefix / "pyvenv.cfg", **libraries}.items():
        (trial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, trial / name)
    try:
        result = subprocess.run(
            [str(trial / "bin" / "python"), "-I", "-c", "import json, sys; print(sys.prefix)"],
            capture_output=True,
            text=True,
            timeout=_TRIAL_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode != 0:
        return (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
    if os.path.realpath(result.stdout.strip()) != os.path.realpath(trial):
        return f"it takes {result.stdout.strip()} for its folder"
    return None


def compile_missing(prefix: Path, names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Compile, into another folder, the modules that have no valid .pyc; says where each belongs.

    What does not compile, such as templates and code for other versions, is left as it is.
    """
    known = set(names)
    python = str(prefix / "bin" / "python")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    asked = subprocess.run(
        [python, "-I", "-c", "import sys; print(sys.implementation.cache_tag)"], capture_output=True, text=True
    )
    tag = asked.stdout.strip()
    sources = [name for name in known if name.startswith("lib/") and name.endswith(".py")]
    missing = {name: place for name in sources if not _has_current(prefix, place := _compiled_name(name, tag), known)}
    if missing:
        subprocess.run(
            [python, "-m", "compileall", "-qq", "-j0", "-s", str(prefix), "-i", "-"],
            input="".join(f"{prefix}/{name}\n" for name in sorted(missing)),
            env={**variables, "PYTHONPYCACHEPREFIX": str(folder)},
            capture_output=True,
            text=True,
        )
    made = {}
    for name, place in missing.items():
        compiled = Path(f"{folder}{prefix}/{name[: -len('.py')]}.{tag}.pyc")
        if compiled.is_file():
            made[place] = compiled
    return made


def _compiled_name(source: str, tag: str) -> str:
    folder, _, name = source.rpartition("/")
    return f"{folder}/__pycache__/{name[: -len('.py')]}.{tag}.pyc"


def _has_current(prefix: Path, place: str, known: set[str]) -> bool:
    return place in known and timeless_pyc((prefix / place).read_bytes(), prefix / place) is not None
