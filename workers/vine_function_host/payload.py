"""How does what was serialised lie in bytes: by which mark before it, several pieces in one? Both ends import it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vine_function_host.frames import LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    Content = bytes | memoryview

# What everything serialised begins with, unless it is a file with memory beside it. What dill has made holds code that
# only the same minor version of Python can run, or even load: so that is in its mark.
PICKLE, DILL = b"P", b"D" + bytes(sys.version_info[:2])
# Before the arguments of a call some of which are shared values: how many in a byte, and for each of these in two its
# position and whether hosts keep it. They are the first of the call's shared values; the others' pickle follows.
PLACED = b"S"
PLACED_MAX = 255  # arguments
MANY = b"M"  # before the arguments of a chunk of calls, and before its results, which are pieces
LEFT, LEFT_AS_IT_IS = b"L", b"l"  # before the arguments of a call that leaves its result, or these bytes, in ...
RESULT_FILE = "vine-result"  # ... this file of its folder
WITH_SERIALISERS = b"R"  # before registered serialisers, one piece, and the functions that they came with


class ForeignPythonError(Exception):
    """What was serialised holds the code of another Python than this one."""


def body_of(content: Content) -> memoryview:
    """The pickle without its mark; ForeignPythonError for what this Python cannot load."""
    if content[:1] != DILL[:1]:
        return memoryview(content)[1:]
    if content[: len(DILL)] != DILL:
        here, there = (f"{major}.{minor}" for major, minor in (DILL[1:], content[1 : len(DILL)]))
        raise ForeignPythonError(
            f"its code is of Python {there}, and {sys.executable}, where it was to run, is Python {here}, which cannot "
            f"load it; make that environment with Python {there}, or run the program with {here}"
        )
    return memoryview(content)[len(DILL) :]


def in_one(pieces: Iterable[bytes]) -> bytes:
    """In one piece, from which each can be told: its length is before it."""
    return b"".join(LENGTH.pack(len(piece)) + piece for piece in pieces)


def pieces_of(content: Content) -> list[Content]:
    pieces, at = [], 0
    while at < len(content):
        (length,) = LENGTH.unpack_from(content, at)
        at += LENGTH.size
        pieces.append(content[at : at + length])
        at += length
    return pieces


def with_serialisers(serialisers: bytes, functions: bytes) -> bytes:
    """Functions, and how values of some types travel with them, if of any."""
    return WITH_SERIALISERS + in_one((serialisers, functions)) if serialisers else functions


def apart(content: bytes) -> tuple[bytes, bytes]:
    """The serialisers, which may be none, and the functions."""
    if content[:1] != WITH_SERIALISERS:
        return b"", content
    serialisers, functions = pieces_of(content[1:])
    return bytes(serialisers), bytes(functions)
