"""Manifests name objects by content, cover each byte once, and are refused when their parts disagree."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine import config
from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import (
    FORMAT_VERSION,
    HASH_BYTES,
    Layout,
    check_manifest,
    chunk_bytes_for,
    chunk_count,
    chunk_hash,
    chunk_span,
    derived_id,
    extents,
    object_id,
)
from vine.errors import MalformedMessage
from vine.wire.parts import Manifest, TreeEntry


def tree_manifest(*entries: TreeEntry) -> Manifest:
    size = sum(max(0, entry.size) for entry in entries)
    chunk_bytes = chunk_bytes_for(size)
    hashes = bytes(HASH_BYTES * -(-size // chunk_bytes))
    return Manifest(FORMAT_VERSION, size, chunk_bytes, hashes, tuple(entries))


FOLDER = TreeEntry("d", 0o755, -1)
FILE = TreeEntry("d/f", 0o644, 10)
LINK = TreeEntry("d/l", 0o777, 0, "f")

trees = st.lists(st.integers(0, 700_000), max_size=12).map(
    lambda sizes: tree_manifest(FOLDER, *(TreeEntry(f"d/{n:02}", 0o644, size) for n, size in enumerate(sizes)))
)


def test_chunks_grow_with_the_object() -> None:
    assert chunk_bytes_for(0) == chunk_bytes_for(127_999_999) == 256 << 10
    assert chunk_bytes_for(128_000_000) == chunk_bytes_for(8_000_000_000) == 1 << 20
    assert chunk_bytes_for(8_000_000_001) == 4 << 20


def test_equal_content_is_one_object_and_any_difference_another() -> None:
    manifest = manifest_of_bytes(b"x" * 300_000)
    others = [
        manifest_of_bytes(b"y" + b"x" * 299_999),
        manifest_of_bytes(b"x" * 300_001),
        tree_manifest(FOLDER),
        tree_manifest(FOLDER, FILE),
        tree_manifest(FOLDER, FILE, LINK),
        tree_manifest(FOLDER, msgspec.structs.replace(FILE, mode=0o755)),
    ]
    assert object_id(manifest) == object_id(manifest_of_bytes(b"x" * 300_000))
    assert len({object_id(manifest), *map(object_id, others)}) == 1 + len(others)


def test_what_is_derived_has_a_name_before_it_is_made() -> None:
    source = object_id(manifest_of_bytes(b"archive"))
    assert derived_id("untar", source) == derived_id("untar", source) != derived_id("other", source)
    assert derived_id("untar", source) != source


def test_an_empty_object_has_no_chunks() -> None:
    manifest = manifest_of_bytes(b"")
    check_manifest(manifest)
    assert chunk_count(manifest) == 0
    with pytest.raises(IndexError):
        chunk_span(manifest, 0)


@given(size=st.integers(0, 2_000_000))
def test_spans_cover_every_byte_once(size: int) -> None:
    manifest = tree_manifest(TreeEntry("f", 0o644, size))
    spans = [chunk_span(manifest, index) for index in range(chunk_count(manifest))]
    assert [offset for offset, _ in spans] == [index * manifest.chunk_bytes for index in range(len(spans))]
    assert sum(length for _, length in spans) == size
    assert all(0 < length <= manifest.chunk_bytes for _, length in spans)


@given(manifest=trees)
def test_extents_run_over_the_files_joined_in_path_order(manifest: Manifest) -> None:
    layout = Layout(manifest)
    covered = dict.fromkeys((entry.path for entry in manifest.tree or ()), 0)
    visited = []
    for index in range(chunk_count(manifest)):
        pieces = layout.extents(index)
        assert pieces == extents(manifest, index)
        assert sum(length for _, _, length in pieces) == chunk_span(manifest, index)[1]
        for path, offset, length in pieces:
            assert length > 0
            assert covered[path] == offset
            covered[path] += length
            visited.append(path)
    assert visited == sorted(visited)
    assert covered == {entry.path: max(0, entry.size) for entry in manifest.tree or ()}


def test_chunks_know_their_hashes() -> None:
    manifest = manifest_of_bytes(bytes(600_000))
    assert chunk_hash(manifest, 0) == chunk_hash(manifest, 1) != chunk_hash(manifest, 2)
    assert len(chunk_hash(manifest, 2)) == HASH_BYTES


def test_a_sound_tree_is_accepted() -> None:
    check_manifest(tree_manifest(FOLDER, FILE, LINK, TreeEntry("e", 0o755, 3)))


@pytest.mark.parametrize(
    ("entries", "claim"),
    [
        ((FOLDER, TreeEntry("d/../../x", 0o644, 1)), "component"),
        ((TreeEntry("/x", 0o644, 1),), "absolute"),
        ((TreeEntry("a\0b", 0o644, 1),), "NUL"),
        ((FILE, FOLDER), "no folder"),
        ((FOLDER, LINK, FILE), "out of order"),
        ((FOLDER, FILE, FILE), "there twice"),
        ((TreeEntry("a", 0o644, 1), TreeEntry("a/b", 0o644, 1)), "no folder"),
        ((FOLDER, LINK, TreeEntry("d/l/x", 0o644, 1)), "no folder"),
        ((TreeEntry("l", 0o777, 0, "../x"),), "leads out"),
        ((TreeEntry("l", 0o777, 0, "/etc/passwd"),), "leads out"),
        ((TreeEntry("l", 0o777, 0, "a\0b"),), "leads out"),
        ((TreeEntry("l", 0o777, 5, "x"),), "has the size"),
        ((TreeEntry("f", 0o600, 1),), "has the mode"),
    ],
)
def test_a_tree_that_is_not_one_is_refused(entries: tuple[TreeEntry, ...], claim: str) -> None:
    with pytest.raises(MalformedMessage, match=claim):
        check_manifest(tree_manifest(*entries))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": FORMAT_VERSION + 1},
        {"size": 10_000_000},
        {"hashes": b""},
        {"hashes": bytes(3 * HASH_BYTES)},
        {"chunk_bytes": 1 << 20},
        {"tree": (TreeEntry("f", 0o644, 1),)},
        {"size": config.chunks_per_object_max * config.chunk_bytes_max + 1, "chunk_bytes": config.chunk_bytes_max},
    ],
)
def test_parts_that_disagree_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedMessage):
        check_manifest(msgspec.structs.replace(manifest_of_bytes(bytes(300_000)), **changes))
