"""How does a folder become read-only, how is it seen to have changed, and how is it removed?"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vine.content.hashing import signature_of_stat
from vine.errors import FileMissing
from vine.wire.parts import Signature

Signatures = dict[str, Signature]  # By path within the object; "" is the object itself.

# Content stored by its hash has no time of its own. A fixed old one makes every later write show in
# mtime, however coarse the file system's clock is.
STORED_TIME_NS = 315_532_800 * 10**9  # 1980-01-01, the oldest that zip can tell.

# An object has one copy, whoever declared it and whether as a program or not: so all may be run.
FILE_MODE = 0o555


class Contents(msgspec.Struct, frozen=True, array_like=True):
    """What an unpacked archive has become: the bytes of its files, and the version of every member.

    Whoever has written all of them has both at hand; another walk over tens of thousands of files takes its time.
    """

    size: int
    versions: Signatures


def members_of(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every member below a folder with its status, folders before what they hold; links are not followed."""
    pending = [("", str(root))]
    while pending:
        prefix, folder = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                path = prefix + entry.name
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    pending.append((path + "/", entry.path))


def protect(root: Path) -> Signatures:
    """Make an object's file, or all that its folder holds, read-only for everyone; the versions of all in the folder.

    The folder itself follows with `seal`, when it has been moved to its place: moving writes to it.
    """
    status = os.lstat(root)
    if not stat.S_ISDIR(status.st_mode):
        protect_member(str(root), FILE_MODE)
        return {}
    versions: Signatures = {}
    for path, member in list(members_of(root)):
        if stat.S_ISLNK(member.st_mode):
            versions[path] = signature_of_stat(member)
        else:
            program = stat.S_ISDIR(member.st_mode) or member.st_mode & 0o100
            versions[path] = protect_member(f"{root}/{path}", 0o555 if program else 0o444)
    return versions


def seal(root: Path) -> Signature:
    """Make an object's folder itself read-only, now that it is in its place, and say which version that is."""
    status = os.lstat(root)
    if stat.S_ISDIR(status.st_mode):
        return protect_member(str(root), 0o555)
    return signature_of_stat(status)


def protect_member(path: str, mode: int) -> Signature:
    """A file or folder gets this mode and the time that says nothing; the version that it then is."""
    os.chmod(path, mode)
    os.utime(path, ns=(STORED_TIME_NS, STORED_TIME_NS))
    return signature_of_stat(os.lstat(path))


def signatures_within(root: Path) -> Signatures:
    """The present version of every member of a folder; of a file nothing."""
    if not stat.S_ISDIR(os.lstat(root).st_mode):
        return {}
    return {path: signature_of_stat(status) for path, status in members_of(root)}


def signatures_of(root: Path) -> Signatures:
    """The present version of a file, or of a folder and every member of it."""
    return {**signatures_within(root), "": signature_of_stat(os.lstat(root))}


def bytes_in(root: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    status = os.lstat(root)
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    return sum(member.st_size for _, member in members_of(root) if stat.S_ISREG(member.st_mode))


def open_folder(root: Path) -> None:
    """Let the owner of a read-only folder rename it: moving a folder writes to it."""
    if not root.is_symlink() and root.is_dir():
        os.chmod(root, 0o700)


def remove_members(root: Path) -> None:
    """Remove all that a folder holds, but not the folder: it may be mounted elsewhere."""
    for name in os.listdir(root):
        remove(root / name)


def remove(root: Path) -> None:
    """Remove a file or folder, read-only folders within it too."""
    try:
        status = os.lstat(root)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(root)
        return
    open_folders(root)
    try:
        shutil.rmtree(root)
    except RecursionError:  # What a task has made may be deeper than Python goes.
        raise OSError(errno.ENAMETOOLONG, "its folders are too deep to be removed", str(root)) from None


def open_folders(root: Path) -> None:
    """Let the owner of a folder add to it, and to all folders in it, and remove from them."""
    pending = [str(root)]
    while pending:
        folder = pending.pop()
        os.chmod(folder, 0o700)
        with os.scandir(folder) as entries:
            pending.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))


def part_from_others(root: Path) -> None:
    """Give every file in a folder that has another name elsewhere a copy of its own: who has that could write to it."""
    for path, status in list(members_of(root)):
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            member = root / path
            open_folder(member.parent)
            own = member.with_name(f".own-{status.st_ino}-{os.getpid()}")
            shutil.copy(member, own)
            os.replace(own, member)


def move(source: Path, destination: Path) -> None:
    """Move a file or folder, between file systems too; what other names share is copied instead.

    Behind a link is what the link leads to: an output may be a link to another output or to an input.
    """
    if not source.exists():
        raise FileMissing(f"{source} does not exist: make it before the task ends")
    status = os.lstat(source)
    if stat.S_ISLNK(status.st_mode):
        copy(Path(os.path.realpath(source)), destination)
        source.unlink()
        return
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        copy(source, destination)
        source.unlink()
        return
    if stat.S_ISDIR(status.st_mode):
        open_folder(source)
    if status.st_dev == os.stat(destination.parent).st_dev:
        os.rename(source, destination)
        return
    copy(source, destination)
    remove(source)


def copy(source: Path, destination: Path) -> None:
    """Copy a file or folder with what it holds."""
    if source.is_dir():
        shutil.copytree(source, destination, symlinks=True)
    else:
        shutil.copyfile(source, destination)


def read_span(path: Path, offset: int, length: int) -> bytes:
    """Bytes of a member of an object."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
