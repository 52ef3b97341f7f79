"""How do a pickle and the memory beside it become one file: buffers are written as they lie, none is copied first.

The mark, how many buffers there are, the bytes of the head and of each buffer; the head, which is serialised as
everything else is; then the buffers, each at a multiple of 64 bytes, where arrays like to begin. Both ends import it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUFFERS = b"B"
_HEAD = struct.Struct("<c3xIQ")
_ALIGNMENT_BYTES = 64


def parts_of_file(head: bytes, buffers: Sequence[memoryview]) -> Iterator[bytes | memoryview]:
    """What the file is made of, in order."""
    lengths = struct.pack(f"<{len(buffers)}Q", *(buffer.nbytes for buffer in buffers))
    yield _HEAD.pack(BUFFERS, len(buffers), len(head)) + lengths
    yield head
    at = _HEAD.size + len(lengths) + len(head)
    for buffer in buffers:
        yield bytes(-at % _ALIGNMENT_BYTES)
        yield buffer
        at += -at % _ALIGNMENT_BYTES + buffer.nbytes


def opened(content: memoryview) -> tuple[memoryview, list[memoryview]]:
    """The head and the buffers of such a file; nothing is copied."""
    _mark, count, head_bytes = _HEAD.unpack_from(content)
    lengths = struct.unpack_from(f"<{count}Q", content, _HEAD.size)
    at = _HEAD.size + 8 * count
    head = content[at : at + head_bytes]
    at += head_bytes
    buffers = []
    for length in lengths:
        at += -at % _ALIGNMENT_BYTES
        buffers.append(content[at : at + length])
        at += length
    return head, buffers
