from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vine.content.hashing import manifest_of_bytes, manifest_of_file, manifest_of_tree
from vine.content.manifest import chunk_count, chunk_span, object_id
from vine.content.partial import Partial
from vine.errors import FileChanged
from vine.manager.objects import ServedFiles, landing
from vine.names import ObjectId, TransferId
from vine.wire.parts import Manifest

TRANSFER = TransferId(1, 7)
DATA = bytes(range(256)) * 3000  # three chunks


def served_file(path: Path, data: bytes = DATA) -> tuple[ServedFiles, ObjectId]:
    path.write_bytes(data)
    manifest, signature = manifest_of_file(path)
    files, name = ServedFiles(), object_id(manifest)
    files.serve(name, manifest, str(path), signature)
    return files, name


def served_tree(path: Path) -> tuple[ServedFiles, ObjectId, Manifest]:
    (path / "sub").mkdir(parents=True)
    (path / "a").write_bytes(DATA)
    (path / "sub" / "run").write_bytes(b"#!/bin/sh\n")
    (path / "sub" / "run").chmod(0o755)
    (path / "link").symlink_to("a")
    manifest = manifest_of_tree(path)
    files, name = ServedFiles(), object_id(manifest)
    files.serve(name, manifest, str(path), None)
    return files, name, manifest


def all_chunks(files: ServedFiles, name: ObjectId) -> bytes:
    return b"".join(files.read_chunk(name, index) for index in range(files.chunk_count(name)))


def fill(partial: Partial, data: bytes) -> None:
    for index in range(chunk_count(partial.manifest)):
        offset, length = chunk_span(partial.manifest, index)
        partial.write(index, data[offset : offset + length])
    partial.commit()


def test_a_file_is_served_from_where_it_lies(tmp_path: Path) -> None:
    files, name = served_file(tmp_path / "data")
    assert all_chunks(files, name) == DATA


def test_a_folder_is_served_as_its_files_joined(tmp_path: Path) -> None:
    files, name, _ = served_tree(tmp_path / "tree")
    assert all_chunks(files, name) == DATA + b"#!/bin/sh\n"


def test_what_nobody_serves_is_a_key_error(tmp_path: Path) -> None:
    files, name = served_file(tmp_path / "data")
    files.stop(name)
    for question in (lambda: files.chunk_count(name), lambda: files.read_chunk(name, 0)):
        with pytest.raises(KeyError):
            question()


def test_a_file_that_changed_is_named_and_not_served(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files, name = served_file(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(FileChanged, match=f"^{path} changed after it was declared: "):
        files.read_chunk(name, 0)


def test_what_is_served_can_be_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files, name = served_file(path)
    assert files.verify(name) == ""
    files.serve(name, manifest_of_bytes(DATA[::-1]), str(path), manifest_of_file(path)[1])
    assert "changed after it was declared" in files.verify(name)
    path.unlink()
    assert "can no longer be read" in files.verify(name)
    files.stop(name)
    assert files.verify(name) == ""


def test_a_file_that_was_cut_short_is_named_and_not_served(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files, name = served_file(path)
    path.write_bytes(DATA[:100])
    with pytest.raises(FileChanged):
        files.read_chunk(name, files.chunk_count(name) - 1)


def test_a_file_that_is_gone_is_named_and_not_served(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files, name = served_file(path)
    path.unlink()
    with pytest.raises(FileChanged, match=f"^{path} can no longer be read \\(No such file or directory\\): "):
        files.read_chunk(name, 0)


def test_a_fifo_in_the_place_of_a_file_does_not_hold_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files, name = served_file(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileChanged):
        files.read_chunk(name, 0)


def test_a_member_of_a_folder_that_changed_is_found_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    files, name, _ = served_tree(path)
    with (path / "a").open("r+b") as member:
        member.write(b"x")
    with pytest.raises(FileChanged, match=f"^{path} changed"):
        files.read_chunk(name, 0)
    assert files.read_chunk(name, 1)


def test_a_pulled_file_appears_at_its_destination_only_when_complete(tmp_path: Path) -> None:
    destination = tmp_path / "new" / "out"
    manifest = manifest_of_bytes(DATA)
    partial = landing(TRANSFER, object_id(manifest), manifest, destination)
    assert not destination.exists()
    fill(partial, DATA)
    assert destination.read_bytes() == DATA
    assert os.listdir(destination.parent) == ["out"]


def test_a_pulled_file_has_the_modes_that_the_user_s_programs_give(tmp_path: Path) -> None:
    destination = tmp_path / "out"
    manifest = manifest_of_bytes(DATA)
    before = os.umask(0o027)
    try:
        fill(landing(TRANSFER, object_id(manifest), manifest, destination), DATA)
    finally:
        os.umask(before)
    assert stat.S_IMODE(destination.stat().st_mode) == 0o640


def test_an_empty_file_can_be_pulled(tmp_path: Path) -> None:
    manifest = manifest_of_bytes(b"")
    fill(landing(TRANSFER, object_id(manifest), manifest, tmp_path / "out"), b"")
    assert (tmp_path / "out").read_bytes() == b""


def test_a_pulled_folder_appears_as_it_was_made(tmp_path: Path) -> None:
    files, name, manifest = served_tree(tmp_path / "tree")
    destination = tmp_path / "out"
    fill(landing(TRANSFER, name, manifest, destination), all_chunks(files, name))
    assert manifest_of_tree(destination) == manifest
    assert sorted(os.listdir(tmp_path)) == ["out", "tree"]


def test_a_pulled_folder_leaves_other_files_of_the_one_before_alone(tmp_path: Path) -> None:
    files, name, manifest = served_tree(tmp_path / "tree")
    destination = tmp_path / "out"
    (destination / "sub").mkdir(parents=True)
    (destination / "a").write_bytes(b"replaced")
    (destination / "sub" / "mine").write_bytes(b"kept")
    fill(landing(TRANSFER, name, manifest, destination), all_chunks(files, name))
    assert (destination / "a").read_bytes() == DATA
    assert (destination / "sub" / "mine").read_bytes() == b"kept"
    assert os.access(destination / "sub" / "run", os.X_OK)
    assert sorted(os.listdir(tmp_path)) == ["out", "tree"]


def test_a_pull_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    manifest = manifest_of_bytes(DATA)
    landing(TRANSFER, object_id(manifest), manifest, tmp_path / "out").discard()
    assert os.listdir(tmp_path) == []


def test_a_destination_below_a_file_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    manifest = manifest_of_bytes(DATA)
    with pytest.raises(OSError, match=f"^{tmp_path}/file/out cannot be written "):
        landing(TRANSFER, object_id(manifest), manifest, tmp_path / "file" / "out")


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    manifest = manifest_of_bytes(DATA)
    partial = landing(TRANSFER, object_id(manifest), manifest, tmp_path / "out")
    with pytest.raises(OSError, match=f"^{tmp_path}/out cannot be written \\(Is a directory\\)"):
        fill(partial, DATA)
    partial.discard()
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_brought_back_may_have_a_name_as_long_as_a_file_system_takes(tmp_path: Path) -> None:
    manifest = manifest_of_bytes(DATA)
    destination = tmp_path / ("\u6570" * 84)
    fill(landing(TRANSFER, object_id(manifest), manifest, destination), DATA)
    assert destination.read_bytes() == DATA and os.listdir(tmp_path) == [destination.name]


@pytest.mark.parametrize("path", ["/", "/tmp/a\0b/c", "/tmp/a\0b"])
def test_a_path_that_is_none_is_told_as_one_that_cannot_be_written(path: str) -> None:
    manifest = manifest_of_bytes(DATA)
    with pytest.raises(OSError, match="name another path"):
        fill(landing(TRANSFER, object_id(manifest), manifest, Path(path)), DATA)
