"""A process that uses a store without rest until it is killed: `python -m tests.content.busy FOLDER SEED`."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from pathlib import Path

from tests.content.objects import keep_unpacked, made_of, receive
from vine.content.manifest import derived_id
from vine.content.store import Store
from vine.errors import DiskFull

CAPACITY = 700_000
OBJECTS = [made_of(size, seed) for seed, size in enumerate((10, 1000, 100_000, 200_000, 300_000, 300_001))]
TREE = derived_id("untar", OBJECTS[0].key)
MEMBERS = 20


class Busy:
    """One user of the store, who makes sure that what it has pinned is there and whole."""

    def __init__(self, root: Path, seed: int) -> None:
        self.store = Store(root, CAPACITY)
        self.dice = random.Random(seed)
        self.output = root.with_name(f"output-{os.getpid()}")

    def turn(self) -> None:
        with contextlib.suppress(DiskFull):
            self.dice.choice((self.receive, self.adopt, self.unpack, self.begin, self.use, self.use, self.rate))()

    def receive(self) -> None:
        receive(self.store, self.dice.choice(OBJECTS))

    def adopt(self) -> None:
        made = self.dice.choice(OBJECTS)
        self.output.write_bytes(made.content)
        self.store.adopt(self.output, pin=True)
        assert self.store.path(made.key).read_bytes() == made.content
        self.store.unpin(made.key)

    def unpack(self) -> None:
        if not self.store.find(TREE):
            keep_unpacked(self.store, TREE, **{str(number): bytes(5000) for number in range(MEMBERS)})

    def begin(self) -> None:
        made = self.dice.choice(OBJECTS)
        partial = self.store.begin(made.key, made.manifest)
        partial.write(0, made.chunks[0])
        getattr(partial, "release", partial.discard)()

    def use(self) -> None:
        key = self.dice.choice((TREE, *(made.key for made in OBJECTS)))
        self.store.pin(key)
        self.store.take_evicted()
        if self.store.has(key):
            assert not self.store.altered(key), "it is in use, and is not what it was"
            path = self.store.path(key)
            content = next((made.content for made in OBJECTS if made.key == key), None)
            assert len(os.listdir(path)) == MEMBERS if content is None else path.read_bytes() == content
        self.store.unpin(key)

    def rate(self) -> None:
        key = self.dice.choice((TREE, *(made.key for made in OBJECTS)))
        self.store.rate(key, spare=self.dice.random() < 0.8)
        self.store.look()
        if self.dice.random() < 0.2:
            self.store.remove(key)


if __name__ == "__main__":
    busy = Busy(Path(sys.argv[1]), int(sys.argv[2]))
    while True:
        busy.turn()
        sys.stdout.write("turn\n")
        sys.stdout.flush()
