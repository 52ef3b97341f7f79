"""How are conda environments found, made and packed: with conda and conda-pack, which are not part of vine?"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path

from vine.content import folders
from vine.environments.frames import Progress
from vine.environments.note import Note
from vine.environments.pack import pack_tree
from vine.errors import UsageError, VineError

_PROGRAMS = ("mamba", "conda", "micromamba")
_LIST_START, _LIST_END = "_prefix_records = [\n", "]\n"


def python_of_conda(prefix: Path) -> str | None:
    """The version of its Python up to the minor one."""
    for record in (prefix / "conda-meta").glob("python-[0-9]*.json"):
        if found := re.match(r"python-(\d+\.\d+)", record.name):
            return found[1]
    return None


def prefix_named(name: str) -> Path | None:
    """The folder of the conda environment of that name, from where conda notes all of this user's; "base" is the one
    that conda itself is in."""
    noted = Path("~/.conda/environments.txt").expanduser()
    lines = noted.read_text().splitlines() if noted.is_file() else []
    bases = [Path(os.environ[program]).parent.parent for program in ("CONDA_EXE", "MAMBA_EXE") if program in os.environ]
    bases += [Path(os.environ[root]) for root in ("MAMBA_ROOT_PREFIX",) if os.environ.get(root)]
    roots = [base / "envs" for base in bases]
    roots += [Path(part) for part in os.environ.get("CONDA_ENVS_PATH", "").split(os.pathsep) if part]
    named = [prefix for prefix in map(Path, lines) if prefix.name == name]
    for prefix in [*named, *(root / name for root in roots), *(bases if name == "base" else [])]:
        if (prefix / "conda-meta").is_dir():
            return prefix
    return None


def create(specification: str, prefix: Path) -> None:
    """Have conda make an environment of what `conda env create` takes. VineError with its last words if it cannot."""
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), os.environ.get("CONDA_EXE"))
    if program is None:
        raise UsageError(
            "the specification needs conda, and there is no mamba, conda or micromamba here: install one, "
            "or name requirements that pip can have"
        )
    folders.remove(prefix)
    written = prefix.with_name(prefix.name + ".yml")
    written.write_text(specification)
    try:
        command = [program, "env", "create", "--yes", "--quiet", "--prefix", str(prefix), "--file", str(written)]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    finally:
        written.unlink()
    if ended.returncode != 0:
        folders.remove(prefix)
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines() or [f"exit code {ended.returncode}"]
        raise VineError(f"{program} could not make the environment: {said[-1]}")


def pack_conda(prefix: Path, out: Path, scratch: Path, progress: Progress | None = None) -> Path:
    """Pack a conda environment so that it runs wherever it is unpacked and relocated.

    conda-pack copies it and lists what names its prefix; the copy becomes one of our archives. UsageError without
    conda-pack, VineError for what it refuses.
    """
    try:
        import conda_pack
    except ImportError as error:
        raise UsageError("packing a conda environment needs conda-pack: pip install 'vine-runtime[conda]'") from error
    folders.remove(scratch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            conda_pack.pack(prefix=str(prefix), output=str(scratch), format="no-archive", ignore_missing_files=True)
        for name in set(os.listdir(scratch)) - {"bin", *os.listdir(prefix)}:
            folders.remove(scratch / name)  # A temporary file that conda-pack leaves behind.
        _sort_list(scratch / "bin" / "conda-unpack")
        return pack_tree(scratch, out, progress, Note(python_of_conda(prefix), None, _pins(prefix)))
    except conda_pack.CondaPackException as error:
        raise VineError(f"{prefix} cannot be packed: {' '.join(str(error).split())}") from error
    finally:
        folders.remove(scratch)


def _sort_list(script: Path) -> None:
    """In the order of names: what conda-pack writes follows the order of a folder, which is any."""
    text = script.read_text()
    start = text.index(_LIST_START) + len(_LIST_START)
    end = text.index(_LIST_END, start)
    lines = sorted(line.rstrip(",\n") + ",\n" for line in text[start:end].splitlines() if line.strip())
    script.write_text(text[:start] + "".join(lines) + text[end:])


def _pins(prefix: Path) -> tuple[str, ...]:
    found = []
    for record in (prefix / "conda-meta").glob("*.json"):
        known = json.loads(record.read_bytes())
        found.append(f"{known['name']}=={known['version']}")
    return tuple(sorted(found))
