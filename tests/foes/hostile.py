"""What might foes send: bytes of any kind, good bytes that were damaged, and values of the wrong shape."""

from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import strategies as st

_numbers = st.integers(-(2**63), 2**64 - 1) | st.floats() | st.sampled_from([2**63 - 1, 2**64 - 1, 2.0**70, -1, 0])
_texts = st.text(max_size=10) | st.sampled_from(["..", "../../x", "/", "a\0b", "x" * 5000, "\x1b[2J"])
_leaves = st.none() | st.booleans() | _numbers | _texts | st.binary(max_size=40)
values: st.SearchStrategy[Any] = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=3), max_leaves=12
)

_nests = st.sampled_from([b"[", b'{"a":', b"\x91", b"\x81\xa1a", b"("])


def deep(nest: bytes, levels: int = 100_000) -> bytes:
    """Something within something within something, as no honest sender nests it."""
    return nest * levels


@st.composite
def damaged(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Good bytes of which some were changed, cut off, put in or said twice."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "cut", "insert", "repeat", "zero"])):
            case "change" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=9))
            case "repeat":
                data[at:at] = data[at : at + 16]
            case _:
                data[at : at + 8] = bytes(len(data[at : at + 8]))
    return bytes(data)


def bytes_like(good: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Anything, mostly near to what is good."""
    return damaged(good) | damaged(good) | st.binary(max_size=100) | _nests.map(deep)


packed: st.SearchStrategy[bytes] = values.map(lambda value: bytes(msgpack.packb(value, strict_types=False)))
