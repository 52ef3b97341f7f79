"""Which members does a tar stream hold, in every dialect that is in use: ustar, GNU and pax."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import adler32

from vine import config
from vine.errors import UnsafeArchive

BLOCK = 512
NO_ARCHIVE = "no tar archive (plain, gz, bz2, xz or zst)"
_ZEROS = bytes(BLOCK)
_HEADER_TEXT_MAX = 1 << 20  # A long name or a pax header: names of PATH_MAX and some attributes.
_OCTAL_DIGITS = b"01234567"


class Kind(enum.Enum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    HARD_LINK = "hard link"
    OTHER = "other"


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.LINK,
    b"5": Kind.FOLDER,
}


@dataclass(slots=True)
class Member:
    """A member as its header tells; `size` bytes follow, of files only."""

    name: str
    kind: Kind
    mode: int
    size: int
    mtime_s: float
    target: str


class TarStream:
    """The members of an archive, one after the other, with their bytes: nothing is held, nothing is read twice."""

    def __init__(self, blocks: Iterator[bytes | memoryview]) -> None:
        self._blocks = blocks
        self._block = memoryview(b"")
        self._left = 0  # Bytes of the present member that nobody has taken yet, padding included.
        self._padding = 0
        self._global: dict[str, str] = {}

    def members(self) -> Iterator[Member]:
        """Each member; its bytes, if wanted, are taken with `data` before the next one is asked for."""
        attributes = dict(self._global)
        while True:
            while self._left:  # What nobody has taken of the last member.
                self._left -= len(self._piece(self._left))
            header = bytes(self._exactly(BLOCK))
            if header == _ZEROS:
                return
            _check_sum(header)
            kind = header[156:157]
            if kind in (b"x", b"g", b"L", b"K"):
                text = self._text(_number(header[124:136]))
                if kind == b"g":
                    self._global.update(_pax(text))
                attributes.update(_pax(text) if kind in (b"x", b"g") else _gnu_name(kind, text))
                continue
            member = _member(header, attributes, _KINDS.get(kind, Kind.OTHER))
            self._begin_data(member.size)
            yield member
            attributes = dict(self._global)

    def data(self) -> Iterator[memoryview]:
        """The bytes of the present member."""
        while self._left > self._padding:
            piece = self._piece(self._left - self._padding)
            self._left -= len(piece)
            yield piece

    def _begin_data(self, size: int) -> None:
        self._padding = -size % BLOCK
        self._left = size + self._padding

    def _piece(self, most: int) -> memoryview:
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                raise UnsafeArchive(f"it is {NO_ARCHIVE}, or is cut short: copy or make it again")
            self._block = memoryview(block)
        piece = self._block[:most]
        self._block = self._block[most:]
        return piece

    def _exactly(self, size: int) -> bytes | memoryview:
        piece = self._piece(size)
        if len(piece) == size:
            return piece
        pieces = [piece]
        missing = size - len(piece)
        while missing:
            pieces.append(self._piece(missing))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _text(self, size: int) -> bytes:
        if size > _HEADER_TEXT_MAX:
            raise UnsafeArchive(f"it has a header of {size} bytes, at most {_HEADER_TEXT_MAX} make sense")
        text = bytes(self._exactly(size)) if size else b""
        self._left = -size % BLOCK
        return text


def _member(header: bytes, attributes: dict[str, str], kind: Kind) -> Member:
    if attributes and any(key.startswith("GNU.sparse.") for key in attributes):
        kind = Kind.OTHER
    name = attributes.get("path") or _full_name(header)
    if kind is Kind.FILE and name.endswith("/"):
        kind = Kind.FOLDER  # As archives from before the folder type have it.
    try:
        size = int(attributes.get("size", 0)) if "size" in attributes else _number(header[124:136])
        mtime_s = float(attributes.get("mtime", 0)) if "mtime" in attributes else float(_number(header[136:148]))
    except ValueError as error:
        raise UnsafeArchive(f"the header of {name!r} is damaged ({error}): make it again") from error
    if size < 0 or size > config.archive_member_bytes_max:
        raise UnsafeArchive(f"the member {name!r} has the size {size}")
    target = ""
    if kind is Kind.LINK or kind is Kind.HARD_LINK:
        target = attributes.get("linkpath") or _string(header[157:257])
    mode = _number(header[100:108]) & 0o7777
    return Member(name, kind, mode, size if kind in (Kind.FILE, Kind.OTHER) else 0, mtime_s, target)


def _full_name(header: bytes) -> str:
    name = _string(header[0:100])
    if header[257:263] != b"ustar\0":
        return name  # GNU's own dialect keeps times where ustar keeps the first part of the name.
    prefix = _string(header[345:500])
    return f"{prefix}/{name}" if prefix else name


def _string(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU: base 256, for what octal digits cannot hold.
        return int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
    text = field.partition(b"\0")[0].strip()
    if text.strip(_OCTAL_DIGITS):  # int() takes signs and underscores too.
        raise UnsafeArchive(f"a number in a header is {text!r}: it is damaged, make it again")
    return int(text, 8) if text else 0


def _check_sum(header: bytes) -> None:
    field = header[148:156]
    noted = field.partition(b"\0")[0].strip()
    of_header = _sum(header) - sum(field) + 8 * ord(" ")
    if not noted or noted.strip(_OCTAL_DIGITS) or of_header != int(noted, 8):
        raise UnsafeArchive(f"a header's checksum is wrong: it is damaged, or {NO_ARCHIVE}")


def _sum(header: bytes) -> int:
    """Of its bytes, which takes Python itself 5 times as long: of so few that half of a checksum does not overflow."""
    half = BLOCK // 2
    return (adler32(header[:half], 0) & 0xFFFF) + (adler32(header[half:], 0) & 0xFFFF)


def _pax(text: bytes) -> dict[str, str]:
    attributes = {}
    while text:
        length, _, _ = text.partition(b" ")
        if not length.isdigit() or not len(length) + 2 < int(length) <= len(text):
            raise UnsafeArchive("a pax header is damaged: make it again")
        record = text[len(length) + 1 : int(length) - 1]
        key, _, value = record.partition(b"=")
        attributes[key.decode(errors="surrogateescape")] = value.decode(errors="surrogateescape")
        text = text[int(length) :]
    return attributes


def _gnu_name(kind: bytes, text: bytes) -> dict[str, str]:
    return {"path" if kind == b"L" else "linkpath": _string(text)}
