"""Manifests of what lies on disk say what is there, or why they cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vine import config
from vine.content import hashing
from vine.content.hashing import (
    chunk_is_good,
    manifest_of_bytes,
    manifest_of_file,
    manifest_of_tree,
    signature_of,
)
from vine.content.manifest import check_manifest, chunk_count, chunk_span, object_id
from vine.errors import FileChanged, FileMissing, UsageError
from vine.wire.parts import TreeEntry


def make_tree(root: Path) -> Path:
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "sub" / "data").write_bytes(b"d" * 300_000)
    (root / "sub.txt").write_bytes(b"t")
    (root / "sub" / "deep" / "run").write_bytes(b"#!")
    (root / "sub" / "deep" / "run").chmod(0o700)
    (root / "link").symlink_to("sub/data")
    return root


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 1_000_000])
def test_a_file_and_the_same_bytes_are_one_object(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    manifest, signature = manifest_of_file(path)
    check_manifest(manifest)
    assert manifest == manifest_of_bytes(path.read_bytes())
    assert signature == signature_of(path)
    assert signature.size == size


@given(data=st.binary(min_size=1), at=st.integers(0))
def test_a_chunk_is_good_only_as_it_was(data: bytes, at: int) -> None:
    manifest = manifest_of_bytes(data)
    changed = bytearray(data)
    changed[at % len(data)] ^= 1
    assert chunk_is_good(manifest, 0, data)
    assert not chunk_is_good(manifest, 0, changed)
    assert not chunk_is_good(manifest, 0, data[:-1])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="nothing does not exist"):
        manifest_of_file(tmp_path / "nothing")
    with pytest.raises(FileMissing, match="nothing does not exist"):
        manifest_of_tree(tmp_path / "nothing")
    with pytest.raises(FileMissing, match="nothing does not exist"):
        signature_of(tmp_path / "nothing")


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileMissing, match="not a plain file"):
        manifest_of_file(tmp_path / "pipe")
    with pytest.raises(UsageError, match="neither a file, a folder nor a link"):
        manifest_of_tree(tmp_path)


@pytest.mark.parametrize("change", ["grown", "shortened", "rewritten"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    # given a file that another program writes to between our reads
    path = tmp_path / "file"
    path.write_bytes(bytes(600_000))
    read = os.readv
    changes = {
        "grown": lambda: path.write_bytes(bytes(700_000)),
        "shortened": lambda: os.truncate(path, 300_000),
        "rewritten": lambda: (path.write_bytes(b"x" * 600_000), os.utime(path, ns=(5, 5))),
    }

    def changing(descriptor: int, windows: list[memoryview]) -> int:
        got = read(descriptor, windows)
        changes.pop(change, lambda: None)()
        return got

    monkeypatch.setattr(hashing.os, "readv", changing)
    # when it is hashed, then nobody gets a manifest of what never was
    with pytest.raises(FileChanged, match="changed while it was read"):
        manifest_of_file(path)


def test_a_file_that_nobody_writes_to_may_be_given_names_and_times_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a packed environment that another run of its user takes, too
    path = tmp_path / "archive"
    path.write_bytes(bytes(600_000))
    whole, _ = manifest_of_file(path)
    read = os.readv

    def shared(descriptor: int, windows: list[memoryview]) -> int:
        os.utime(path)
        (tmp_path / "its name there").unlink(missing_ok=True)
        os.link(path, tmp_path / "its name there")
        return read(descriptor, windows)

    monkeypatch.setattr(hashing.os, "readv", shared)
    assert manifest_of_file(path, settled=True)[0] == whole
    with pytest.raises(FileChanged):
        manifest_of_file(path)


def test_a_tree_is_its_members_in_path_order_with_modes_but_no_umask(tmp_path: Path) -> None:
    manifest = manifest_of_tree(make_tree(tmp_path))
    check_manifest(manifest)
    assert manifest.tree == (
        TreeEntry("empty", 0o755, -1),
        TreeEntry("link", 0o777, 0, "sub/data"),
        TreeEntry("sub", 0o755, -1),
        TreeEntry("sub.txt", 0o644, 1),
        TreeEntry("sub/data", 0o644, 300_000),
        TreeEntry("sub/deep", 0o755, -1),
        TreeEntry("sub/deep/run", 0o755, 2),
    )
    joined = b"t" + b"d" * 300_000 + b"#!"
    for index in range(chunk_count(manifest)):
        offset, length = chunk_span(manifest, index)
        assert chunk_is_good(manifest, index, joined[offset : offset + length])


def test_a_tree_is_the_same_object_elsewhere_at_another_time_with_another_umask(tmp_path: Path) -> None:
    first, second = make_tree(tmp_path / "a"), make_tree(tmp_path / "b")
    (second / "sub.txt").chmod(0o600)
    os.utime(second / "sub.txt", (1, 1))
    assert object_id(manifest_of_tree(first)) == object_id(manifest_of_tree(second))
    (second / "sub.txt").chmod(0o700)
    assert object_id(manifest_of_tree(first)) != object_id(manifest_of_tree(second))


def test_links_out_of_a_tree_are_refused_with_their_name(tmp_path: Path) -> None:
    (tmp_path / "escape").symlink_to("/etc")
    with pytest.raises(UsageError, match=r"escape is a link that leads out.*copy of /etc"):
        manifest_of_tree(tmp_path)


def test_names_that_no_message_can_carry_are_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(UsageError, match="not UTF-8"):
        manifest_of_tree(tmp_path)


def test_a_tree_too_large_for_a_message_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "manifest_bytes_max", 100)
    with pytest.raises(UsageError, match=r"7 members.*declare_untar"):
        manifest_of_tree(make_tree(tmp_path))


@settings(max_examples=30)
@given(sizes=st.lists(st.sampled_from([0, 1, 5, 262_143, 262_144, 262_145, 400_000]), max_size=6))
def test_tree_chunks_are_those_of_the_joined_files(sizes: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("tree")
    contents = [os.urandom(size) for size in sizes]
    for number, content in enumerate(contents):
        (root / f"{number}").write_bytes(content)
    assert manifest_of_tree(root).hashes == manifest_of_bytes(b"".join(contents)).hashes
