"""Which chunks of an arriving object does a complete one have already, so that they need not come again?"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from pathlib import Path

from vine import config
from vine.content import folders
from vine.content.hashing import chunk_is_good
from vine.content.ledger import Ledger
from vine.content.manifest import HASH_BYTES, Layout
from vine.content.partial import Partial
from vine.errors import DiskFull
from vine.names import ObjectId
from vine.wire.parts import Manifest

_Where = tuple[ObjectId, int]  # an object and a chunk of it
_PREFIX_BYTES = 8  # of a hash; what is found by it is hashed in any case


class Reuse:
    """An index of the chunks that lie in the folder, over the objects of all stores that share it.

    It grows by what has come when something is looked up, and forgets its oldest entries; an entry may be
    out of date, for nothing that it leads to is trusted without being hashed.
    """

    def __init__(self, objects: Path, ledger: Ledger) -> None:
        self._objects = objects
        self._ledger = ledger
        self._where: dict[bytes, _Where] = {}
        self._indexed: set[ObjectId] = set()
        self._lock = threading.Lock()

    def fill(self, partial: Partial) -> None:
        """Copy into the object what others have of it; it may take as long as to read and write that."""
        for key, chunks in self._found(partial).items():
            entry = self._ledger.find_seen(key)
            if entry is None or entry.proof.manifest is None:
                continue
            layout = Layout(entry.proof.manifest)
            try:
                for there, here in chunks:
                    data = chunk_at(self._objects / key, layout, there)
                    if chunk_is_good(partial.manifest, here, data):
                        partial.write(here, data)
            except (FileNotFoundError, DiskFull):
                continue  # It was given up meanwhile; or the transfer will find that there is no room.

    def _found(self, partial: Partial) -> dict[ObjectId, list[tuple[int, int]]]:
        """The objects that have chunks of it: which of theirs is which of its."""
        found: defaultdict[ObjectId, list[tuple[int, int]]] = defaultdict(list)
        with self._lock:
            self._index_what_has_come()
            for here, prefix in enumerate(_prefixes(partial.manifest)):
                where = self._where.get(prefix)
                if where is not None and here not in partial.present:
                    found[where[0]].append((where[1], here))
        return found

    def _index_what_has_come(self) -> None:
        keys = self._ledger.keys_seen()
        new, self._indexed = keys - self._indexed, keys
        for entry in map(self._ledger.find_seen, new):
            if entry is not None and entry.proof.manifest is not None:
                self._where.update(
                    (prefix, (entry.key, index)) for index, prefix in enumerate(_prefixes(entry.proof.manifest))
                )
        excess = max(0, len(self._where) - config.chunks_indexed_max)
        for prefix in list(itertools.islice(self._where, excess)):  # One by one, each would pass all that went before.
            del self._where[prefix]


def _prefixes(manifest: Manifest) -> list[bytes]:
    hashes = manifest.hashes
    return [hashes[at : at + _PREFIX_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


def chunk_at(path: Path, layout: Layout, index: int) -> bytes:
    """The bytes of a complete object's chunk."""
    pieces = [folders.read_span(path / name, *span) for name, *span in layout.extents(index)]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
