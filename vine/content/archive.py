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

import msgspec

from vine import config
from vine.content.admission import Admission, Link, name_of
from vine.content.compression import blocks_in, damage_told, opened, threads_beside
from vine.content.folders import Contents
from vine.content.making import Maker
from vine.content.partial import disk_full_or
from vine.content.prefix import PrefixFile, PrefixReader, listen
from vine.content.relocation import relocate
from vine.content.tar_stream import BLOCK, Kind, TarStream
from vine.errors import DiskFull, ExitCode, UnsafeArchive, UsageError, VineError

_NAMES_REFUSED = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)  # By the file system.


def unpack(
    archive: Path,
    destination: Path,
    bytes_max: int | None = None,
    arriving: PrefixFile | None = None,
    place: Path | None = None,
) -> Contents:
    """Unpack a tar archive (plain, gz, bz2, xz or zst) into an empty folder.

    Archives of ours are decompressed on all cores. With `arriving` it is read from there, as far as it has come; this
    may return before the last of it is here. With `place` an environment is made to run there. Keeps hard links, links
    that stay inside, times, and who may run what; files are read-only from the start, and folders in the end, but for
    the one that all lies in; owners are dropped. Raises UnsafeArchive for a member that leaves the folder, lies behind
    a link, comes twice, would run as another user, or is no file, folder or link, and for an archive that unpacks to so
    much that it must be meant to; DiskFull beyond `bytes_max`. What was unpacked until then stays for the caller to
    remove.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        if os.listdir(destination):
            raise UsageError(f"{destination} is not empty: name a new folder to unpack {archive} into")
    except OSError as error:
        raise UsageError(f"{destination} cannot be a folder to unpack into ({error.strerror})") from error
    with opened(archive, arriving) as file:
        claims = _Claims(archive, file.size, bytes_max)
        try:
            with damage_told(archive), contextlib.closing(Maker(str(destination), threads_beside())) as maker:
                for link in _make_files(file, maker, claims):
                    maker.link(link)
                return maker.finish(() if place is None else relocate(destination, place))
        except UnsafeArchive as error:
            message = str(error)
            raise error if str(archive) in message else UnsafeArchive(f"{archive}: {message}") from error
        except OSError as error:
            if error.errno in _NAMES_REFUSED:
                raise UnsafeArchive(f"{archive}: {error.strerror} in a name: rename that member") from error
            raise disk_full_or(error, destination / "", claims.bytes) from error


def _make_files(file: PrefixReader, maker: Maker, claims: _Claims) -> list[Link]:
    """Make all files and folders; the links that are then to be made."""
    admission = Admission()
    # Closed here and now: the reader has threads, and must never be left to the garbage collector to end.
    with contextlib.closing(blocks_in(file)) as blocks:
        stream = TarStream(blocks)
        for member in stream.members():
            name = name_of(member)
            admission.admit(name, member)
            claims.claim(BLOCK + member.size)  # The header's share stands for the inode.
            if member.kind is Kind.FOLDER:
                maker.folder(name)
            elif member.kind is Kind.FILE:
                maker.file(name, member, stream.data())
    maker.settle()
    return admission.links()


class _Claims:
    """What an archive unpacks to, before it does."""

    def __init__(self, archive: Path, size: int, bytes_max: int | None) -> None:
        self.bytes = 0
        self._archive = archive
        self._bytes_max = bytes_max
        self._believed = max(config.unpacked_bytes_unasked, size * config.unpacked_ratio_max)

    def claim(self, more: int) -> None:
        self.bytes += more
        if self.bytes > self._believed:
            raise UnsafeArchive(
                f"it unpacks to more than {self._believed} bytes, {config.unpacked_ratio_max} times its size: "
                "compress it less, or not at all, if it is meant to"
            )
        if self._bytes_max is not None and self.bytes > self._bytes_max:
            raise DiskFull(
                f"{self._archive} unpacks to more than {self._bytes_max} bytes: "
                "free space, or give the worker a larger --disk or another --workspace"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Unpack in a process of its own; the exit code tells a full disk from a bad archive."""
    parser = argparse.ArgumentParser(prog="python -m vine.content.archive", description=unpack.__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--bytes-max", type=int, default=None)
    parser.add_argument(
        "--place", type=Path, metavar="DIR", help="where the folder will lie: an environment is made to run there"
    )
    parser.add_argument(
        "--arriving",
        type=int,
        metavar="DESCRIPTOR",
        help="read the archive from here, as far as standard input says; end when nobody is left to write that",
    )
    parser.add_argument("--report", type=int, metavar="DESCRIPTOR", help="write there what was made, as msgpack")
    options = parser.parse_args(argv)
    arriving = None if options.arriving is None else _heard_of(options.arriving)
    try:
        contents = unpack(options.archive, options.destination, options.bytes_max, arriving, options.place)
        if options.report is not None:
            with open(options.report, "wb", closefd=False) as report:
                report.write(msgspec.msgpack.encode(contents))
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
    # At once: giving back the memory of what is known of tens of thousands of files takes Python 40 ms.
    os._exit(main())
