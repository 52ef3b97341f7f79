"""Archives of frames unpack on any number of cores to what was packed, and nothing in them gets out."""

from __future__ import annotations

import io
import itertools
import os
import tarfile
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.objects import open_below
from tests.content.test_archive import ESCAPES, FILE, Entry, make_tree
from vine.content.archive import unpack
from vine.content.compression import FRAME_NOTE, FRAME_NOTE_LENGTH, FRAME_NOTE_MAGIC
from vine.content.folders import Contents, bytes_in, signatures_within
from vine.errors import UnsafeArchive

END = bytes(1024)


def frame_of(content: bytes) -> bytes:
    frame = zstandard.ZstdCompressor(level=1).compress(content)
    return FRAME_NOTE.pack(FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH, len(frame), len(content)) + frame


def tar_of(*entries: Entry, mode: int = 0o644) -> bytes:
    """Members without an archive's end."""
    out = io.BytesIO()
    for name, kind, rest in entries:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = kind, mode, 1_500_000_000
        if isinstance(rest, bytes):
            info.size = len(rest)
            out.write(info.tobuf() + rest + bytes(-len(rest) % 512))
        else:
            info.linkname = rest
            out.write(info.tobuf())
    return out.getvalue()


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 1_520_000), max_size=12), cores=st.sampled_from([1, 2, 4]))
def test_however_an_archive_is_cut_into_frames_it_unpacks_to_what_was_packed(
    cuts: list[int], cores: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given an archive with a file that is larger than frames, links of both kinds and times
    root = tmp_path_factory.mktemp("framed")
    tree = make_tree(root / "tree")
    with tarfile.open(root / "plain.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(tree, ".")
    # when it is cut into frames anywhere, and unpacked on any number of cores
    plain = (root / "plain.tar").read_bytes()
    places = sorted({0, len(plain), *(cut for cut in cuts if cut < len(plain))})
    (root / "a").write_bytes(b"".join(frame_of(plain[start:end]) for start, end in itertools.pairwise(places)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        contents = unpack(root / "a", root / "out")
    # then it is what was packed, read-only, and of what was made everything has been told
    out = root / "out"
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == sorted(
        path.relative_to(tree) for path in tree.rglob("*")
    )
    assert (out / "data").read_bytes() == (tree / "data").read_bytes()
    assert (out / "data").stat().st_mtime == 1_000_000_000
    assert (out / "data").stat().st_mode & 0o7777 == 0o444
    assert os.readlink(out / "bin" / "link") == "../data"
    assert (out / "bin" / "tool").samefile(out / "bin" / "same tool")
    assert os.access(out / "bin" / "tool", os.X_OK)
    assert contents == Contents(bytes_in(out), signatures_within(out))


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_gets_out_of_frames_either(tmp_path: Path, name: str) -> None:
    # given a file outside, and an archive that would reach it, each member a frame of its own
    (tmp_path / "x").write_bytes(b"mine")
    (tmp_path / "below").mkdir()
    frames = [frame_of(tar_of(entry)) for entry in ESCAPES[name]]
    (tmp_path / "a").write_bytes(b"".join(frames) + frame_of(END))
    # when it is unpacked, then it is refused in one line
    with pytest.raises(UnsafeArchive) as caught:
        unpack(tmp_path / "a", tmp_path / "below" / "out")
    assert "\n" not in str(caught.value)
    # and nothing outside has changed
    assert (tmp_path / "x").read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["a", "below", "x"]
    assert os.listdir(tmp_path / "below") == ["out"]


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_frames_that_are_not_all_here_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, cores: int
) -> None:
    # given an archive whose large file is cut off, or whose end is missing
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    head = tar_of(("large", FILE, bytes(3_000_000)))
    frames = [frame_of(head[:2_000_000]), frame_of(head[2_000_000:]), frame_of(END)]
    (tmp_path / "a").write_bytes(b"".join(frames[:kept]))
    before = set(threading.enumerate())
    # when it is unpacked, then it is refused, and neither thread nor descriptor stays
    with pytest.raises(UnsafeArchive):
        unpack(tmp_path / "a", tmp_path / "out")
    assert not open_below(tmp_path)
    assert set(threading.enumerate()) <= before


def test_frames_of_zeros_are_refused_for_what_they_claim(tmp_path: Path) -> None:
    # given frames of a file that is said to hold gigabytes
    info = tarfile.TarInfo("zeros")
    info.size = 10_000_000_000
    frames = frame_of(info.tobuf() + bytes(32_000_000)) + frame_of(bytes(32_000_000)) * 11
    (tmp_path / "a").write_bytes(frames)
    # when they are unpacked where there is room, then nothing of it is written
    with pytest.raises(UnsafeArchive, match="unpacks to more than 268435456 bytes"):
        unpack(tmp_path / "a", tmp_path / "out", bytes_max=1 << 50)
    assert os.listdir(tmp_path / "out") == []
