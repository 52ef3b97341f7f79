"""Archives of frames are the same for the same members, and readable by everyone."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from vine import config
from vine.content.archive import unpack
from vine.content.compression import FRAME_NOTE, FRAME_NOTE_MAGIC
from vine.content.tar_stream import TarStream
from vine.environments.frames import Item, write_archive
from vine.errors import FileChanged, FileMissing


def items_of(folder: Path, contents: dict[str, bytes]) -> list[Item]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [Item(name, folder / name, size=len(content)) for name, content in contents.items()]


def frames_of(path: Path) -> list[bytes]:
    data, frames = path.read_bytes(), []
    while data:
        magic, _, compressed, content = FRAME_NOTE.unpack(data[: FRAME_NOTE.size])
        assert magic == FRAME_NOTE_MAGIC
        end = FRAME_NOTE.size + compressed
        frames.append(zstandard.ZstdDecompressor().decompress(data[FRAME_NOTE.size : end]))
        assert len(frames[-1]) == content
        data = data[end:]
    return frames


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 512, 5000, 99_999, 100_000, 100_001, 350_000]), max_size=8))
def test_members_of_any_size_come_back(sizes: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("frames")
    contents = {f"{number}": os.urandom(size) for number, size in enumerate(sizes)}
    items = items_of(folder / "in", contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "pack_frame_bytes", 100_000)
        write_archive(items, folder / "a.tar.zst")
    unpack(folder / "a.tar.zst", folder / "out")
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == contents
    for frame in frames_of(folder / "a.tar.zst"):
        assert len(frame) <= 100_000 + 512 * (2 + len(sizes))


def test_a_frame_begins_where_a_member_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "pack_frame_bytes", 10_000)
    write_archive(items_of(tmp_path / "in", {f"{n}": bytes(4000) for n in range(9)}), tmp_path / "a.tar.zst")
    *frames, end = frames_of(tmp_path / "a.tar.zst")
    assert end == bytes(1024)
    assert [[member.name for member in TarStream(iter([frame + end])).members()] for frame in frames] == [
        ["0", "1"],
        ["2", "3"],
        ["4", "5"],
        ["6", "7"],
        ["8"],
    ]


def test_other_programs_read_it(tmp_path: Path) -> None:
    items = [Item("folder", tmp_path, folder=True), Item("link", tmp_path, target="folder")]
    items += items_of(tmp_path / "in", {"data": b"x" * 5000, "n" * 200: b"y"})
    packed = write_archive(items, tmp_path / "a.tar.zst")
    with packed.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as frames:
        plain = frames.read(1 << 20)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert [member.name for member in archive] == ["folder", "link", "data", "n" * 200]
        assert {(member.uid, member.gid, member.mtime) for member in archive} == {(0, 0, 315_532_800)}


def test_progress_counts_members(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_archive(
        items_of(tmp_path / "in", {"a": b"", "b": b"x"}), tmp_path / "a", lambda done, all_: seen.append((done, all_))
    )
    assert seen[-1] == (2, 2)
    assert seen == sorted(seen)


@pytest.mark.parametrize(("content", "error"), [(b"longer", FileChanged), (b"s", FileChanged), (None, FileMissing)])
def test_a_file_that_changes_meanwhile_is_named_and_no_archive_appears(
    tmp_path: Path, content: bytes | None, error: type[Exception]
) -> None:
    items = items_of(tmp_path / "in", {"file": b"1234"})
    if content is None:
        (tmp_path / "in" / "file").unlink()
    else:
        (tmp_path / "in" / "file").write_bytes(content)
    with pytest.raises(error, match="in/file"):
        write_archive(items, tmp_path / "a.tar.zst")
    assert os.listdir(tmp_path) == ["in"]


def test_what_is_written_in_place_of_a_file_has_its_own_size(tmp_path: Path) -> None:
    [item] = items_of(tmp_path / "in", {"file": b"1234"})
    longer = Item("longer", item.source, size=4, read=lambda data: data * 1000)
    absent = Item("absent", item.source, size=4, read=lambda data: None)
    write_archive([longer, absent, item], tmp_path / "a.tar.zst")
    unpack(tmp_path / "a.tar.zst", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "file": b"1234",
        "longer": b"1234" * 1000,
    }
