"""How does a folder of software become one archive that runs wherever it is unpacked?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vine.content.paths import leads_out
from vine.environments import note
from vine.environments.frames import Item, Progress, Read, write_archive
from vine.environments.interpreter import Carried, carried
from vine.environments.note import Note, pins_in
from vine.environments.relocate import ACTIVATORS, compile_missing, interpreter, relocatable_script, timeless_pyc
from vine.environments.virtualenv import base_of_virtualenv, is_virtualenv, python_of_virtualenv
from vine.errors import FileMissing, UsageError


def pack_tree(prefix: Path, out: Path, progress: Progress | None = None, says: Note | None = None) -> Path:
    """Pack a folder into a .tar.zst that is the same for the same content, whoever packs it and when.

    Members are in path order without owners and times, behind what the archive `says` of itself; compiled Python is
    made valid whatever the time of its source. A link that leads out of the folder is an error.
    """
    with tempfile.TemporaryDirectory(prefix="vine-pack-") as scratch:
        return write_archive(_noted(says, scratch) + _items(_folder(prefix), {}), out, progress)


def pack_virtualenv(
    prefix: Path, out: Path, progress: Progress | None = None, *, copy_interpreter: bool = False
) -> Path:
    """Pack a virtual environment so that its bin/python runs wherever the archive is unpacked.

    The interpreter's program is put in place of the link to it, scripts in bin/ find the interpreter
    beside them, and what has not been compiled yet is. The standard library of the interpreter that the
    environment was made with stays where it is: workers need it at the same path (a Python that all
    nodes have, or one on a shared file system), unless `copy_interpreter` brings it along. Modules that are
    only linked into the environment, as editable installs are, need their path on workers too.
    """
    prefix = _folder(prefix)
    if not is_virtualenv(prefix):
        raise UsageError(f"{prefix} is no virtual environment (no pyvenv.cfg with bin/python): name its folder")
    with tempfile.TemporaryDirectory(prefix="vine-pack-") as scratch:
        pins = pins_in([str(folder) for folder in prefix.glob("lib/python3*/site-packages")])
        python, base = python_of_virtualenv(prefix), base_of_virtualenv(prefix)
        brought = carried(prefix, Path(scratch) / "carried") if copy_interpreter else Carried()
        added = brought.files or interpreter(prefix, Path(scratch) / "trial")
        added |= compile_missing(prefix, _names(str(prefix)), Path(scratch) / "compiled")
        items = _items(prefix, added, relocate=True, brought=brought)
        said = Note(python, None if copy_interpreter else base, pins)
        return write_archive(_noted(said, scratch) + items, out, progress)


def _noted(says: Note | None, scratch: str) -> list[Item]:
    """The note comes first, so that it can be read without the rest."""
    if says is None:
        return []
    path = Path(scratch) / note.NAME
    path.write_bytes(says.as_bytes())
    return [Item(note.NAME, path, size=path.stat().st_size)]


def _folder(prefix: Path) -> Path:
    if not prefix.is_dir():
        raise UsageError(f"{prefix} is not a folder: name the folder to pack")
    return Path(os.path.realpath(prefix))


def _items(prefix: Path, added: dict[str, Path], relocate: bool = False, brought: Carried | None = None) -> list[Item]:
    """The members in path order; `added` are files from elsewhere, in place of what is there."""
    place = Carried().place if brought is None else brought.place
    found = {place(name): prefix / name for name in _names(str(prefix)) if place(name)}
    added = {place(name): path for name, path in added.items()}
    found |= {parent: prefix for name in [*found, *added] for parent in _parents(name) if parent not in found}
    found |= added
    found.pop(note.NAME, None)  # Of an environment that was unpacked, and is packed again.
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
        name,
        path,
        size=status.st_size,
        program=bool(status.st_mode & 0o100),
        read=_reader(prefix, name, path, relocate),
    )


def _reader(prefix: Path, name: str, path: Path, relocate: bool) -> Read | None:
    """What is to be written in place of a file's own bytes, if anything is."""
    if name.endswith(".pyc"):
        # What was compiled just now lies elsewhere than its source.
        return lambda data: timeless_pyc(data, path if path.parent.name == "__pycache__" else prefix / name)
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
