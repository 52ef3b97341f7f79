"""How are an archive's files, folders and links made in a folder?"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from vine import config
from vine.content.admission import Link
from vine.content.folders import Contents, Signatures, protect_member
from vine.content.hashing import signature_of_stat
from vine.content.large_files import LargeFiles, write_all
from vine.content.paths import parent_of
from vine.content.tar_stream import Member

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TIME_MAX_S = 1 << 33  # Beyond what some file systems can note; such times are taken as damaged, not as wrong.


class Maker:
    """Makes what `name_of` has found a plain name for; large files by `threads` more, if these are several.

    Links come after everything else, so that nothing that is made by its name can lie behind one. What a file has
    become is noted as it is closed: nobody need look at all of them again.
    """

    def __init__(self, destination: str, threads: int = 1) -> None:
        self._destination = destination
        self._large = LargeFiles(threads) if threads > 1 else None
        self._folders = {""}
        self._files: Signatures = {}
        self._links: Signatures = {}
        self._of_several_names: set[str] = set()

    def folder(self, name: str) -> None:
        """And those above it; it may be there already."""
        if name not in self._folders:
            self.folder(parent_of(name))
            os.mkdir(self._path(name))
            self._folders.add(name)

    def file(self, name: str, member: Member, pieces: Iterable[memoryview]) -> None:
        """Whoever else opens it can only read. A large one may be complete only after `settle`."""
        self.folder(parent_of(name))
        mode = 0o555 if member.mode & 0o100 else 0o444
        descriptor = os.open(self._path(name), _NEW_FILE, mode)
        if self._large is not None and member.size >= config.written_beside_bytes_min:
            self._large.write(descriptor, pieces, lambda: self._end_file(name, member, descriptor, mode))
            return
        try:
            at = 0
            for piece in pieces:
                write_all(descriptor, piece, at)
                at += len(piece)
        finally:
            self._end_file(name, member, descriptor, mode)

    def _end_file(self, name: str, member: Member, descriptor: int, mode: int) -> None:
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

    def settle(self) -> None:
        """Wait until every file has its bytes."""
        if self._large is not None:
            self._large.settle()

    def close(self) -> None:
        if self._large is not None:
            self._large.close()

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
