"""How does a folder of software become one archive that runs wherever it is unpacked?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vine.content.paths import leads_out
from vine.environments.frames import Item, Progress, Read, write_archive
from vine.environments.relocate import ACTIVATORS, compile_missing, interpreter, relocatable_script, timeless_pyc
from vine.errors import FileMissing, UsageError


def pack_tree(prefix: Path, out: Path, progress: Progress | None = None) -> Path:
    """Pack a folder into a .tar.zst that is the same for the same content, whoever packs it and when.

    Members are in path order without owners and times; compiled Python is made valid whatever the time
    of its source. A link that leads out of the folder is an error.
    """
    return write_archive(_items(_folder(prefix), {}), out, progress)


def pack_virtualenv(prefix: Path, out: Path, progress: Progress | None = None) -> Path:
    """Pack a virtual environment so that its bin/python runs wherever the archive is unpacked.

    The interpreter's program is put in place of the link to it, scripts in bin/ find the interpreter
    beside them, and what has not been compiled yet is. The standard library of the interpreter that the
    environment was made with stays where it is: workers need it at the same path (a Python that all
    nodes have, or one on a shared file system). Modules that are only linked into the environment, as
    editable installs are, need their path on workers too.
    """
    prefix = _folder(prefix)
    if not (prefix / "pyvenv.cfg").is_file() or not (prefix / "bin" / "python").exists():
        raise UsageError(f"{prefix} is no virtual environment (no pyvenv.cfg with bin/python): name its folder")
    with tempfile.TemporaryDirectory(prefix="vine-pack-") as scratch:
        added = interpreter(prefix, Path(scratch) / "trial")
        added |= compile_missing(prefix, _names(str(prefix)), Path(scratch) / "compiled")
        return write_archive(_items(prefix, added, relocate=True), out, progress)


def _folder(prefix: Path) -> Path:
    if not prefix.is_dir():
        raise UsageError(f"{prefix} is not a folder: name the folder to pack")
    return Path(os.path.realpath(prefix))


def _items(prefix: Path, added: dict[str, Path], relocate: bool = False) -> list[Item]:
    """The members in path order; `added` are files from elsewhere, in place of what is there."""
    found = {name: prefix / name for name in _names(str(prefix))}
    found |= {parent: prefix for name in added for parent in _parents(name) if parent not in found}
    found |= added
    links = {name: os.readlink(path) for name, path in found.items() if name not in added and path.is_symlink()}
    items = []
    for name in sorted(found):
        if relocate and ACTIVATORS.fullmatch(name):
            continue
        path = found[name]
        if name in links:
            _check_link(prefix, name, links)
            items.append(Item(name, path, target=links[name]))
        elif path.is_dir():
            items.append(Item(name, path, folder=True))
        elif path.is_file():  # And no socket or pipe that some program has left.
            items.append(_file(prefix, name, path, relocate))
    return items


def _file(prefix: Path, name: str, path: Path, relocate: bool) -> Item:
    try:
        status = path.stat()
    except OSError as error:
        raise FileMissing(f"{path} cannot be packed ({error.strerror}): nothing may change it meanwhile") from error
    return Item(
        name, path, size=status.st_size, program=bool(status.st_mode & 0o100), read=_reader(prefix, name, relocate)
    )


def _reader(prefix: Path, name: str, relocate: bool) -> Read | None:
    """What is to be written in place of a file's own bytes, if anything is."""
    if name.endswith(".pyc"):
        return lambda data: timeless_pyc(data, prefix / name)
    if relocate and name.startswith("bin/"):
        return lambda data: relocatable_script(data, prefix)
    return None


def _check_link(prefix: Path, name: str, links: dict[str, str]) -> None:
    if leads_out(name, links[name], links):
        raise UsageError(f"{prefix}/{name} is a link that leads out of {prefix}: put a copy of {links[name]} there")


def _names(folder: str, under: str = "") -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield under + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _names(entry.path, f"{under}{entry.name}/")


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
