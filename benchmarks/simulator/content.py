"""What are objects made of, where nobody looks at their bytes?"""

from __future__ import annotations

import hashlib

from vine import config
from vine.content.manifest import FORMAT_VERSION, chunk_bytes_for
from vine.wire.parts import Manifest

_ANY = memoryview(bytes(config.chunk_bytes_max))


def manifest_of(name: str, size: int) -> Manifest:
    """The manifest of an object of so many bytes; equal names are equal content."""
    chunk_bytes = chunk_bytes_for(size)
    chunk_hash = hashlib.blake2b(name.encode(), digest_size=32).digest()
    return Manifest(FORMAT_VERSION, size, chunk_bytes, chunk_hash * -(-size // chunk_bytes))


def some_bytes(length: int) -> memoryview:
    """So many bytes of no matter what; no memory of their own."""
    return _ANY[:length]
