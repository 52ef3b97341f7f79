"""How are an archive's files, folders and links made in a folder, by several threads at once?"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from vine.content.admission import Link, shown
from vine.content.folders import Contents, Signatures, protect_member
from vine.content.hashing import signature_of_stat
from vine.content.paths import parent_of
from vine.content.tar_stream import Member
from vine.errors import UnsafeArchive

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TIME_MAX_S = 1 << 33  # Beyond what some file systems can note; such times are taken as damaged, not as wrong.


class Maker:
    """Makes what `name_of` has found a plain name for.

    Links come after everything else, so that nothing that is made by its name can lie behind one. What a file has
    become is noted as it is closed: nobody need look at all of them again.
    """

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._folders = {""}
        self._files: Signatures = {}
        self._links: Signatures = {}
        self._of_several_names: set[str] = set()

    def folder(self, name: str) -> None:
        """And those above it; it may be there already."""
        if name in self._folders:
            return
        self.folder(parent_of(name))
        try:
            os.mkdir(self._path(name))
        except FileExistsError:  # Another thread's; or a file, and then what comes behind it fails.
            pass
        except NotADirectoryError as error:
            raise _behind(name) from error
        self._folders.add(name)

    def file(self, name: str, member: Member, pieces: Iterable[memoryview]) -> None:
        descriptor = self.begin_file(name, member)
        try:
            at = 0
            for piece in pieces:
                write_all(descriptor, piece, at)
                at += len(piece)
        finally:
            self.end_file(name, descriptor, member)

    def begin_file(self, name: str, member: Member) -> int:
        """A descriptor to write the file by, for `end_file`; whoever else opens it can only read."""
        self.folder(parent_of(name))
        try:
            return os.open(self._path(name), _NEW_FILE, _mode_of(member))
        except FileExistsError as error:
            raise UnsafeArchive(f"the member {shown(name)} is there twice: make it again") from error
        except NotADirectoryError as error:
            raise _behind(name) from error

    def end_file(self, name: str, descriptor: int, member: Member) -> None:
        mode = _mode_of(member)
        try:
            if 0 <= member.mtime_s < _TIME_MAX_S:
                os.utime(descriptor, (member.mtime_s, member.mtime_s))
            status = os.fstat(descriptor)
            if stat.S_IMODE(status.st_mode) != mode:  # By the umask.
                os.fchmod(descriptor, mode)
                status = os.fstat(descriptor)
            self._files[name] = signature_of_stat(status)
        finally:
            os.close(descriptor)

    def link(self, link: Link) -> None:
        self.folder(parent_of(link.name))
        path = self._path(link.name)
        if link.hard:
            os.link(self._path(link.target), path, follow_symlinks=False)
            self._of_several_names |= {link.name, link.target}
        else:
            os.symlink(link.target, path)
            self._links[link.name] = signature_of_stat(os.lstat(path))

    def finish(self, touched: Iterable[str]) -> Contents:
        """What is there now that all has been made, and these files have been changed or removed since.

        Folders are read-only from here on, but for the one that all lies in.
        """
        for name in self._of_several_names.union(touched):  # One more name is one more version of the file.
            self._files.pop(name, None)
            with contextlib.suppress(FileNotFoundError):
                self._files[name] = signature_of_stat(os.lstat(self._path(name)))
        size = sum(version.size for version in self._files.values())
        folders = {name: protect_member(self._path(name), 0o555) for name in self._folders if name}
        return Contents(size, {**self._files, **self._links, **folders})

    def _path(self, name: str) -> str:
        return f"{self._destination}/{name}"


def write_all(descriptor: int, piece: memoryview, offset: int) -> None:
    while piece:
        written = os.pwrite(descriptor, piece, offset)
        piece, offset = piece[written:], offset + written


def _mode_of(member: Member) -> int:
    return 0o555 if member.mode & 0o100 else 0o444


def _behind(name: str) -> UnsafeArchive:
    return UnsafeArchive(f"the member {shown(name)} lies behind a file: make it without that")
