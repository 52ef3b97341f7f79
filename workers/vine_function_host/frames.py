"""How do calls and answers lie in the frames between a worker and a function host; both ends import it.

Calls come through a SOCK_SEQPACKET socket, several in a frame; the number of each comes through a pipe,
and is taken out of it before the call begins: the worker takes calls back by taking their numbers. Every
answer goes into a second pipe at once: what has been answered survives the death of the host there.

What calls of one function mostly have in common lies together in each, so that either end makes and reads it once.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Nothing below is evaluated: environments may bring an older Python than ours.
    from collections.abc import Iterator, Sequence

    Blob = tuple[bytes, bytes]  # INLINE or AT_PATH, and the bytes or the path

CALL, SPILLED = b"C", b"F"  # a call; the path of a file that holds one
INLINE, AT_PATH = b"i", b"p"  # the bytes themselves; the path of a file that holds them
READY, VALUE, EXCEPTION, EXIT = b"r", b"v", b"e", b"x"  # what an answer brings
UNSENDABLE, DIED = b"u", b"d"  # ... a result that cannot travel; the exit code of a fork, or its signal's, negative
FOREIGN = b"f"  # ... a call with code of another Python, which was not begun
CALL_ENDS = (VALUE, EXCEPTION, EXIT, UNSENDABLE, DIED, FOREIGN)

COMMONS_MAX = 256  # that an end remembers: most calls have what the one before has had ...
COMMON_BYTES_MAX = 64 << 10  # ... and none that is longer: variables may be
PIPE_BYTES = 65536  # A pipe's capacity on Linux, unless it is asked to be another.
LENGTH = struct.Struct("<I")  # before each call in a frame, and before each answer
PERMIT = struct.Struct("<Q")  # a call's number: whoever takes it out of the pipe has the call
NUMBER = struct.Struct("<xQ")  # where both kinds of calls have their number
SPILLED_HEAD = struct.Struct("<cQ")  # SPILLED, number; the path follows
CALL_HEAD = struct.Struct("<cQI")  # CALL, number, bytes of what it has in common with others; its blobs follow that
COMMON_HEAD = struct.Struct("<HI")  # bytes of the function's path and of the settings; shared values' paths follow
PATH_HEAD = struct.Struct("<H")  # bytes of a path
BLOB_HEAD = struct.Struct("<cI")  # INLINE or AT_PATH, bytes that follow
# Number, what it brings, INLINE or AT_PATH, seconds of the body, its USE, bytes of words.
ANSWER_HEAD = struct.Struct("<QccdfIIH")
NO_USE = (0.0, 0, 0)  # processor seconds; kilobytes that this process had at most, and has left
WORDS_BYTES_MAX = 65535  # of an answer


def common_part(function: bytes, settings: bytes, shared: Sequence[bytes] = ()) -> bytes:
    """What calls have in common, as `Common` reads it; `shared` are paths."""
    parts = [COMMON_HEAD.pack(len(function), len(settings)), function, settings]
    for path in shared:
        parts += (PATH_HEAD.pack(len(path)), path)
    return b"".join(parts)


def call_frame(number: int, common: bytes, blobs: Sequence[Blob]) -> bytes:
    """The frame of one call: its arguments are the first blob, results of others that they refer to follow."""
    parts = [CALL_HEAD.pack(CALL, number, len(common)), common]
    for where, content in blobs:
        parts += (BLOB_HEAD.pack(where, len(content)), content)
    return b"".join(parts)


def calls_of(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """The calls in a frame of the socket, each with its number."""
    at = 0
    while at < len(frame):
        (length,) = LENGTH.unpack_from(frame, at)
        at += LENGTH.size
        yield NUMBER.unpack_from(frame, at)[0], frame[at : at + length]
        at += length


class Common:
    """What calls have in common, as it was read."""

    __slots__ = ("function", "settings", "shared")

    def __init__(self, part: bytes) -> None:
        function_bytes, settings_bytes = COMMON_HEAD.unpack_from(part)
        at = COMMON_HEAD.size
        self.function = part[at : at + function_bytes]
        at += function_bytes
        self.settings = part[at : at + settings_bytes]
        at += settings_bytes
        self.shared: list[bytes] = []  # the paths of values that other calls are given, too
        while at < len(part):
            (length,) = PATH_HEAD.unpack_from(part, at)
            at += PATH_HEAD.size
            self.shared.append(part[at : at + length])
            at += length


class Commons:
    """Those that came lately, each read once."""

    def __init__(self) -> None:
        self._read: dict[bytes, Common] = {}

    def read(self, part: bytes) -> Common:
        common = self._read.get(part)
        if common is None:
            common = Common(part)
            if len(self._read) >= COMMONS_MAX:
                self._read.clear()
            if len(part) <= COMMON_BYTES_MAX:
                self._read[part] = common
        return common


class Call:
    """One call as it was read from its frame."""

    __slots__ = ("blobs", "common", "number")

    def __init__(self, frame: bytes, commons: Commons) -> None:
        _kind, self.number, common_bytes = CALL_HEAD.unpack_from(frame)
        at = CALL_HEAD.size + common_bytes
        self.common = commons.read(frame[CALL_HEAD.size : at])
        self.blobs: list[Blob] = []
        while at < len(frame):
            where, length = BLOB_HEAD.unpack_from(frame, at)
            at += BLOB_HEAD.size
            self.blobs.append((where, frame[at : at + length]))
            at += length


def read_blob(blob: Blob) -> bytes:
    where, content = blob
    if where == INLINE:
        return content
    with open(content, "rb") as file:
        return file.read()
