"""How does an unpacked conda environment come to run from the folder that it lies in?"""

from __future__ import annotations

import ast
import glob
import os
import re
import stat
from pathlib import Path

from vine.content.admission import plain_name, shown
from vine.errors import UnsafeArchive

_LIST = "_prefix_records"


def relocate(folder: Path, place: Path) -> set[str]:
    """Name `place` wherever conda-pack has noted that the environment's old prefix is named; which files it touched.

    What conda-unpack would do, without running anything of the archive: its list says which files name which old
    prefix, as text or padded with NUL in a program. No other file is touched, but that what was compiled of a changed
    module goes. A folder without such a list stays as it is. Source: conda-pack's `prefixes.py`.
    """
    touched: set[Path] = set()
    for name, old, mode in _listed(folder / "bin" / "conda-unpack"):
        path = folder / plain_name(name, "file to relocate")
        if _relocate_file(path, old, mode, os.fsencode(place)):
            touched |= {path, *_uncompiled(path)}
    root = os.path.realpath(folder)  # Names in the list may lead through links to folders, as lib64 to lib.
    return {os.path.relpath(os.path.join(os.path.realpath(path.parent), path.name), root) for path in touched}


def _listed(script: Path) -> list[tuple[str, bytes, str]]:
    try:
        tree = ast.parse(_read(script))
    except (OSError, SyntaxError, ValueError):
        return []  # Not conda-pack's: a program of somebody else, or nothing at all.
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == _LIST:
            try:
                return [(str(name), old.encode(), str(mode)) for name, old, mode in ast.literal_eval(statement.value)]
            except (ValueError, TypeError, AttributeError) as error:
                raise UnsafeArchive(f"the list in its bin/conda-unpack is damaged ({error}): pack it again") from error
    return []


def _relocate_file(path: Path, old: bytes, mode: str, new: bytes) -> bool:
    """Whether it had to be changed."""
    try:
        data = _read(path)
    except OSError:
        return False  # Left out when it was packed; or a link, whose file is listed itself.
    moved = data.replace(old, new) if mode == "text" else _padded(data, old, new, path.name)
    if moved == data or not old:
        return False
    _rewrite(path, moved)
    return True


def _uncompiled(path: Path) -> list[Path]:
    """Removes what was compiled of a module, whatever its interpreter; where that was."""
    if path.suffix != ".py":
        return []
    found = list((path.parent / "__pycache__").glob(f"{glob.escape(path.stem)}.*.pyc"))
    for compiled in found:
        compiled.unlink()
    return found


def _padded(data: bytes, old: bytes, new: bytes, name: str) -> bytes:
    """Strings in a program keep their length: what is shorter ends earlier."""

    def moved(found: re.Match[bytes]) -> bytes:
        string = found[0][:-1].replace(old, new)
        if len(string) > len(found[0]) - 1:
            raise UnsafeArchive(
                f"the program {shown(name)} has room for a prefix of {len(old)} characters, not for the {len(new)} of "
                f"{os.fsdecode(new)}: give the worker a shorter --workspace"
            )
        return string.ljust(len(found[0]), b"\0")

    return re.sub(re.escape(old) + rb"[^\0]*\0", moved, data)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read()


def _rewrite(path: Path, data: bytes) -> None:
    """In place: other names of the file stay names of it."""
    status = os.lstat(path)
    os.chmod(path, 0o600)
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "wb") as file:
        file.write(data)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    os.chmod(path, stat.S_IMODE(status.st_mode))
