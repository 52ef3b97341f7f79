"""Objects for the tests of this room: bytes or trees, their manifests, their chunks."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

from vine.content.folders import Contents, bytes_in, signatures_within
from vine.content.hashing import manifest_of_bytes, manifest_of_tree
from vine.content.manifest import chunk_count, chunk_span, object_id
from vine.content.partial import Partial
from vine.content.store import Store
from vine.names import ObjectId
from vine.wire.parts import Manifest


class Made:
    """An object whose every chunk is at hand."""

    def __init__(self, manifest: Manifest, content: bytes) -> None:
        self.manifest = manifest
        self.content = content
        self.key: ObjectId = object_id(manifest)
        self.chunks = [
            content[offset : offset + length]
            for offset, length in (chunk_span(manifest, index) for index in range(chunk_count(manifest)))
        ]

    def feed(self, partial: Partial) -> None:
        for index in set(range(len(self.chunks))) - partial.present:
            partial.write(index, self.chunks[index])


def made_of(size: int, seed: int = 0) -> Made:
    content = random.Random(seed).randbytes(size)
    return Made(manifest_of_bytes(content), content)


def made_tree(folder: Path, sizes: list[int], seed: int = 0) -> Made:
    """A tree with a folder, a link, a program and files of these sizes."""
    dice = random.Random(seed)
    (folder / "sub").mkdir(parents=True)
    contents = [dice.randbytes(size) for size in sizes]
    for number, content in enumerate(contents):
        (folder / "sub" / f"{number:03}").write_bytes(content)
    (folder / "link").symlink_to("sub/000")
    (folder / "tool").write_bytes(b"#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    return Made(manifest_of_tree(folder), b"".join(contents) + b"#!/bin/sh\n")


def receive(store: Store, made: Made) -> None:
    partial = store.begin(made.key, made.manifest)
    made.feed(partial)
    partial.commit()


def keep_unpacked(store: Store, key: ObjectId, **files: bytes) -> None:
    """An archive of these files becomes an object."""
    folder = store.begin_tree(key)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    store.commit_tree(key, contents_of(folder))


def contents_of(folder: Path) -> Contents:
    """What whoever has unpacked an archive into this folder says of it."""
    return Contents(bytes_in(folder), signatures_within(folder))


def open_below(folder: Path, process: int | str = "self") -> list[str]:
    """The files in this folder that a process has open."""
    descriptors = Path(f"/proc/{process}/fd")
    led_to = []
    for name in os.listdir(descriptors):
        with contextlib.suppress(FileNotFoundError):  # Of another thread, and closed by now.
            led_to.append(os.readlink(descriptors / name))
    return [path for path in led_to if path.startswith(f"{folder}/")]


def on_disk(store: Store) -> set[str]:
    """What lies in the store's folder; of its own small objects as if all objects lay side by side."""
    found = {
        path.relative_to(store.root)
        for folder in ("objects", "partial", "quarantine")
        for path in (store.root / folder).iterdir()
        if not path.name.startswith("own-")
    }
    return {*map(str, found), *(f"objects/{path.name}" for path in store.root.glob("objects/own-*/*"))}


def bytes_on_disk(store: Store) -> int:
    """Of all that lies in the store's folder."""
    return sum(bytes_in(store.root / folder) for folder in ("objects", "partial", "quarantine"))
