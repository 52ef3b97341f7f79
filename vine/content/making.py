"""How are an archive's files, folders and links made in a folder, by several threads at once?"""

from __future__ import annotations

import os
from collections.abc import Iterable

from vine.content.admission import Link, shown
from vine.content.paths import parent_of
from vine.content.tar_stream import Member
from vine.errors import UnsafeArchive

_TIME_MAX_S = 1 << 33  # Beyond what some file systems can note; such times are taken as damaged, not as wrong.


class Maker:
    """Makes what `name_of` has found a plain name for.

    Links come after everything else, so that nothing that is made by its name can lie behind one.
    """

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._folders = {""}

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
            end_file(descriptor, member)

    def begin_file(self, name: str, member: Member) -> int:
        """A descriptor to write the file by, for `end_file`; whoever else opens it can only read."""
        self.folder(parent_of(name))
        mode = 0o555 if member.mode & 0o100 else 0o444
        try:
            return os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        except FileExistsError as error:
            raise UnsafeArchive(f"the member {shown(name)} is there twice: make it again") from error
        except NotADirectoryError as error:
            raise _behind(name) from error

    def link(self, link: Link) -> None:
        self.folder(parent_of(link.name))
        if link.hard:
            os.link(self._path(link.target), self._path(link.name), follow_symlinks=False)
        else:
            os.symlink(link.target, self._path(link.name))

    def _path(self, name: str) -> str:
        return f"{self._destination}/{name}"


def write_all(descriptor: int, piece: memoryview, offset: int) -> None:
    while piece:
        written = os.pwrite(descriptor, piece, offset)
        piece, offset = piece[written:], offset + written


def end_file(descriptor: int, member: Member) -> None:
    try:
        if 0 <= member.mtime_s < _TIME_MAX_S:
            os.utime(descriptor, (member.mtime_s, member.mtime_s))
    finally:
        os.close(descriptor)


def _behind(name: str) -> UnsafeArchive:
    return UnsafeArchive(f"the member {shown(name)} lies behind a file: make it without that")
