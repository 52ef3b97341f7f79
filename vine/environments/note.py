"""What does an archive say of the environment in it: its Python, where that comes from, what is installed?"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from vine.content.compression import blocks_of
from vine.content.tar_stream import TarStream
from vine.wire.codec import UNDECODABLE

NAME = "vine-environment.json"  # The first member of what we pack from an environment.

_LIBRARY = re.compile(r"(?:^|/)lib/python(\d+\.\d+)/")
_NOTE_BYTES_MAX = 16 << 20
_LOOKED_AT_MAX = 20_000  # Members of a foreign archive: its library comes long before that, or is none.


@dataclass(frozen=True, slots=True)
class Note:
    """`python` is its version up to the minor one; `base` is the folder that workers need at the same path too."""

    python: str | None = None
    base: str | None = None
    pins: tuple[str, ...] = ()

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()


def of_archive(path: Path) -> Note:
    """What an archive says; of one that others have made, what its names tell. VineError if it cannot be read."""
    with contextlib.closing(blocks_of(path)) as blocks:
        stream = TarStream(blocks)
        for number, member in enumerate(stream.members()):
            if member.name == NAME and member.size <= _NOTE_BYTES_MAX:
                return read(b"".join(map(bytes, stream.data())))
            if (found := _LIBRARY.search(member.name)) is not None:
                return Note(found[1])
            if number > _LOOKED_AT_MAX:
                break
    return Note(None)


def read(data: bytes) -> Note:
    try:
        return msgspec.json.decode(data, type=Note)
    except UNDECODABLE:
        return Note(None)  # An archive of others may have a member of that name, too.


def pins_in(folders: list[str]) -> tuple[str, ...]:
    """What is installed in these folders of modules, each with its version, as requirements."""
    found = importlib.metadata.distributions(path=folders)
    return tuple(sorted({f"{each.metadata['Name']}=={each.version}" for each in found if each.metadata["Name"]}))
