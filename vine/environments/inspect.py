"""What is in a packed environment, and what will unpacking it cost?"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vine.content.admission import Admission, name_of
from vine.content.compression import blocks_of
from vine.content.tar_stream import Kind, TarStream
from vine.environments import note

_MODULES = re.compile(r"lib/python\d+\.\d+/(?:site|dist)-packages/([^/]+)")
_STANDARD_LIBRARY = re.compile(r"lib/python\d+\.\d+/os\.py")
_DISK_BLOCK = 4096  # Of common file systems: a file takes up whole ones.


@dataclass(frozen=True, slots=True)
class Report:
    """Sizes in bytes; `packages` from the largest on; `read_s` is what decompressing it took, on one core."""

    archive_bytes: int
    content_bytes: int
    disk_bytes: int
    files: int
    folders: int
    links: int
    packages: list[tuple[str, int]]
    has_library: bool  # the interpreter's own, so that workers need none
    says: note.Note
    read_s: float

    def as_plain(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "says"}
        return {**plain, "python": self.says.python, "base": self.says.base, "pins": list(self.says.pins)}


def inspected(archive: Path) -> Report:
    """Read all of it, and write nothing. UnsafeArchive for one that workers would refuse, FileMissing."""
    kinds: Counter[Kind] = Counter()
    packages: Counter[str] = Counter()
    content_bytes = disk_bytes = 0
    has_library = False
    admission = Admission()
    start_s = time.perf_counter()
    blocks = blocks_of(archive)
    try:
        for member in TarStream(blocks).members():
            name = name_of(member)
            admission.admit(name, member)
            kinds[member.kind] += 1
            content_bytes += member.size
            disk_bytes += -(-member.size // _DISK_BLOCK) * _DISK_BLOCK
            has_library = has_library or _STANDARD_LIBRARY.fullmatch(name) is not None
            if found := _MODULES.match(name):
                packages[_package(found[1])] += member.size
        admission.links()
    finally:
        blocks.close()
    return Report(
        archive.stat().st_size,
        content_bytes,
        disk_bytes + kinds[Kind.FOLDER] * _DISK_BLOCK,
        kinds[Kind.FILE],
        kinds[Kind.FOLDER],
        kinds[Kind.LINK] + kinds[Kind.HARD_LINK],
        packages.most_common(),
        has_library,
        note.of_archive(archive),
        time.perf_counter() - start_s,
    )


def _package(folder: str) -> str:
    """`numpy` has its libraries in numpy.libs and says what it is in numpy-2.0.dist-info."""
    return re.sub(r"\.libs$|(-[^-]*)?\.(dist|egg)-info$|\.py$|\.pth$|(\.cpython-[^.]*|\.abi3)?\.so$", "", folder)
