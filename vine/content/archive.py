"""How does an archive become a folder that nothing in it can leave?"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from vine.content.compression import blocks_of
from vine.content.partial import disk_full_or
from vine.content.paths import fault_of_name, leads_out, parent_of
from vine.content.prefix import PrefixFile, listen
from vine.content.tar_stream import BLOCK, Kind, Member, TarStream
from vine.errors import DiskFull, ExitCode, UnsafeArchive, UsageError, VineError

_NAMES_REFUSED = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)  # By the file system.
_TIME_MAX_S = 1 << 33  # Beyond what some file systems can note; such times are taken as damaged, not as wrong.


def unpack(archive: Path, destination: Path, bytes_max: int | None = None, arriving: PrefixFile | None = None) -> int:
    """Unpack a tar archive (plain, gz, bz2, xz or zst) into an empty folder; returns the bytes of its files.

    With `arriving` it is read from there, as far as it has come; this may return before the last of it is here.
    Keeps hard links, links that stay inside, times, and who may run what; files are read-only from the
    start, owners and set-user-id bits are dropped. Raises UnsafeArchive for a member that leaves the
    folder, lies behind a link, or is no file, folder or link; DiskFull beyond `bytes_max`. What was
    unpacked until then stays for the caller to remove.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        if os.listdir(destination):
            raise UsageError(f"{destination} is not empty: name a new folder to unpack {archive} into")
    except OSError as error:
        raise UsageError(f"{destination} cannot be a folder to unpack into ({error.strerror})") from error
    unpacker = _Unpacker(archive, str(destination), bytes_max)
    try:
        # Closed here and now: the reader has threads, and must never be left to the garbage collector to end.
        with contextlib.closing(blocks_of(archive, arriving)) as blocks:
            stream = TarStream(blocks)
            for member in stream.members():
                unpacker.add(member, stream)
        unpacker.check_links()
    except UnsafeArchive as error:
        message = str(error)
        raise error if str(archive) in message else UnsafeArchive(f"{archive}: {message}") from error
    except OSError as error:
        if error.errno in _NAMES_REFUSED:
            raise UnsafeArchive(f"{archive}: {error.strerror} ({error.filename}): rename that member") from error
        raise disk_full_or(error, destination / "", unpacker.written_bytes) from error
    return unpacker.written_bytes


class _Unpacker:
    """Makes the members. `_kinds` knows every path that exists, so that none is followed or written through."""

    def __init__(self, archive: Path, destination: str, bytes_max: int | None) -> None:
        self._archive = archive
        self._destination = destination
        self._bytes_max = bytes_max
        self._kinds: dict[str, Kind] = {"": Kind.FOLDER}
        self._links: dict[str, str] = {}
        self._claimed_bytes = 0
        self.written_bytes = 0
        self._make = {
            Kind.FILE: self._make_file,
            Kind.FOLDER: self._make_folder,
            Kind.LINK: self._make_link,
            Kind.HARD_LINK: self._make_hard_link,
        }

    def add(self, member: Member, stream: TarStream) -> None:
        name = _plain_name(member.name, "member")
        make = self._make.get(member.kind)
        if make is None:
            raise UnsafeArchive(f"the member {member.name!r} is no file, folder or link: leave it out")
        if not name:
            if member.kind is not Kind.FOLDER:
                raise UnsafeArchive("it has a member without a name: make it again")
            return  # "./", the folder itself.
        self._claimed_bytes += BLOCK + member.size  # The header's share stands for the inode.
        if self._bytes_max is not None and self._claimed_bytes > self._bytes_max:
            raise DiskFull(
                f"{self._archive} unpacks to more than {self._bytes_max} bytes: "
                "free space, or give the worker a larger --disk or another --workspace"
            )
        self._make_parents(parent_of(name))
        self._make_way(name, member.kind)
        self._kinds[name] = make(name, member, stream)

    def check_links(self) -> None:
        """Where a link leads is known when all are: one may lead through others."""
        for name, target in self._links.items():
            if leads_out(name, target, self._links):
                raise UnsafeArchive(f"the link {name!r} to {target!r} leads out of the archive: leave it out")

    def _make_parents(self, folder: str) -> None:
        kind = self._kinds.get(folder)
        if kind is Kind.FOLDER:
            return
        if kind is not None:
            raise UnsafeArchive(f"it has members behind the {kind.value} {folder!r}: make it without them")
        self._make_parents(parent_of(folder))
        os.mkdir(self._path(folder))
        self._kinds[folder] = Kind.FOLDER

    def _make_way(self, name: str, kind: Kind) -> None:
        """A file may come again, as in archives that were appended to: the last one holds."""
        old = self._kinds.get(name)
        if old is Kind.FILE and kind is Kind.FILE:
            os.unlink(self._path(name))
        elif old is not None and (old, kind) != (Kind.FOLDER, Kind.FOLDER):
            raise UnsafeArchive(f"the {kind.value} {name!r} is there already as a {old.value}: make it again")

    def _make_file(self, name: str, member: Member, stream: TarStream) -> Kind:
        mode = 0o555 if member.mode & 0o100 else 0o444
        descriptor = os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            for piece in stream.data():
                self.written_bytes += len(piece)
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
            if 0 <= member.mtime_s < _TIME_MAX_S:
                os.utime(descriptor, (member.mtime_s, member.mtime_s))
        finally:
            os.close(descriptor)
        return Kind.FILE

    def _make_folder(self, name: str, member: Member, stream: TarStream) -> Kind:
        if name not in self._kinds:  # It may come again, or after its first member.
            os.mkdir(self._path(name))
        return Kind.FOLDER

    def _make_link(self, name: str, member: Member, stream: TarStream) -> Kind:
        if not member.target or "\0" in member.target:
            raise UnsafeArchive(f"the link {name!r} leads nowhere: leave it out")
        os.symlink(member.target, self._path(name))
        self._links[name] = member.target
        return Kind.LINK

    def _make_hard_link(self, name: str, member: Member, stream: TarStream) -> Kind:
        first = _plain_name(member.target, "hard link to")
        kind = self._kinds.get(first)
        if kind is Kind.LINK:  # It becomes one more link, and is judged as one.
            return self._make_link(name, Member(name, Kind.LINK, 0, 0, 0.0, self._links[first]), stream)
        if kind not in (Kind.FILE, Kind.HARD_LINK):
            raise UnsafeArchive(f"the hard link {name!r} is to {first!r}, which is no file before it: make it again")
        os.link(self._path(first), self._path(name), follow_symlinks=False)
        return Kind.HARD_LINK

    def _path(self, name: str) -> str:
        return f"{self._destination}/{name}"


def _plain_name(name: str, what: str) -> str:
    """A name as tar programs write it ("./a/b/") in its plain form ("a/b")."""
    if fault_of_name(name) is None:
        return name
    plain = "/".join(part for part in name.split("/") if part not in ("", "."))
    fault = fault_of_name("/" if name.startswith("/") else plain or "root")
    if fault is not None:
        raise UnsafeArchive(f"the {what} {name!r} {fault}: make it with names that stay inside")
    return plain


def main(argv: Sequence[str] | None = None) -> int:
    """Unpack in a process of its own; the exit code tells a full disk from a bad archive."""
    parser = argparse.ArgumentParser(prog="python -m vine.content.archive", description=unpack.__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--bytes-max", type=int, default=None)
    parser.add_argument(
        "--arriving",
        type=int,
        metavar="DESCRIPTOR",
        help="read the archive from here, as far as standard input says; end when nobody is left to write that",
    )
    options = parser.parse_args(argv)
    arriving = None if options.arriving is None else _heard_of(options.arriving)
    try:
        unpack(options.archive, options.destination, options.bytes_max, arriving)
    except VineError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{options.archive} cannot be unpacked into {options.destination}: {error}\n")
        return 1
    return 0


def _heard_of(descriptor: int) -> PrefixFile:
    """The file behind the descriptor, read as far as standard input says."""
    file = PrefixFile(descriptor, os.fstat(descriptor).st_size)

    def hear() -> None:
        listen(sys.stdin.fileno(), file)
        os._exit(ExitCode.FAILED)  # Whoever wanted the folder is gone: it must not be written to any more.

    threading.Thread(target=hear, name="vine-prefix", daemon=True).start()
    return file


if __name__ == "__main__":
    sys.exit(main())
