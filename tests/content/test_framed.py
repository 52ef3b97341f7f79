"""Frames of an archive unpack side by side to what they would one after the other, and nothing in them gets out."""

from __future__ import annotations

import io
import os
import random
import tarfile
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.test_archive import ESCAPES, FILE, FOLDER, HARD, LINK, Entry, archive_of, make_tree
from vine.content.archive import unpack
from vine.content.compression import FRAME_NOTE, FRAME_NOTE_LENGTH, FRAME_NOTE_MAGIC
from vine.errors import UnsafeArchive

END = bytes(1024)


def frame_of(content: bytes, carried: int = 0) -> bytes:
    frame = zstandard.ZstdCompressor(level=1).compress(content)
    note = FRAME_NOTE.pack(FRAME_NOTE_MAGIC, FRAME_NOTE_LENGTH, len(frame), len(content), carried)
    return note + frame


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


def framed(tar: bytes, cuts: list[int]) -> bytes:
    """A tar file as frames that end at the cuts, in blocks of 512 bytes: within members too, but not within headers."""
    starts = {0}
    ends = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            begin = member.offset_data
            end = begin + -(-(member.size if member.isreg() else 0) // 512) * 512
            starts.add(end)
            ends |= dict.fromkeys(range(begin + 512, end, 512), end)
    out, at = b"", 0
    for cut in [*(512 * cut for cut in sorted(set(cuts))), len(tar)]:
        if at < cut <= len(tar) and (cut in starts or cut in ends or cut == len(tar)):
            out += frame_of(tar[at:cut], ends.get(at, at) - at)
            at = cut
    return out


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 3200), max_size=12))
def test_however_an_archive_is_cut_into_frames_it_unpacks_to_what_was_packed(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given an archive with files that are larger than frames, links of both kinds and times
    root = tmp_path_factory.mktemp("framed")
    tree = make_tree(root / "tree")
    with tarfile.open(root / "plain.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(tree, ".")
    # when it is cut into frames anywhere, and unpacked
    (root / "a").write_bytes(framed((root / "plain.tar").read_bytes(), cuts))
    unpack(root / "a", root / "out")
    # then it is what was packed
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


names = st.sampled_from(["a", "b", "a/b", "a/c", "b/a", "../x", "./a", "c/d/e", "/x"])
entries = st.tuples(
    names,
    st.sampled_from([FILE, FOLDER, LINK, HARD]),
    st.sampled_from(["a", "b", "..", "../..", "a/b/..", "../x", "b/../../x", "."]),
)


@settings(max_examples=200, deadline=None)
@given(members=st.lists(entries, max_size=6))
def test_frames_are_refused_just_when_the_same_members_in_one_stream_are(
    members: list[tuple[str, bytes, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("combination")
    (root / "x").write_bytes(b"mine")
    made: list[Entry] = [
        (name, kind, target if kind in (LINK, HARD) else b"" if kind == FOLDER else b"data")
        for name, kind, target in members
    ]
    (root / "framed").write_bytes(b"".join(frame_of(tar_of(entry)) for entry in made) + frame_of(END))
    archive_of(root / "plain", *made)
    verdicts, left = [], []
    for name in ("framed", "plain"):
        try:
            unpack(root / name, root / f"{name}-below" / "out")
            verdicts.append(True)
        except UnsafeArchive:
            verdicts.append(False)
        left.append(
            sorted(str(path.relative_to(root / f"{name}-below")) for path in (root / f"{name}-below").rglob("*"))
        )
    assert verdicts[0] == verdicts[1]
    assert left[0] == left[1] or not verdicts[0]
    assert (root / "x").read_bytes() == b"mine"
    assert (root / "x").stat().st_nlink == 1


BIG = random.Random(1).randbytes(5000)
HEAD = tar_of(("big", FILE, BIG))  # Its bytes are from 512 to 5512, and its last block ends at 5632.


@pytest.mark.parametrize(
    "frames",
    [
        [(HEAD[:2048], 0)],
        [(HEAD[:2048], 0), (END, 0)],
        [(HEAD[:2048], 0), (HEAD[2048:], 0)],
        [(HEAD[:2048], 0), (HEAD[2048:], 3072)],
        [(HEAD[:2048], 0), (HEAD[2048:], 4000)],
        [(HEAD[:2048], 0), (HEAD[2048:4096], 3584), (HEAD[4096:], 1000)],
        [(HEAD[:2048], 0), (HEAD[2048:], 3584), (HEAD[2048:], 3584), (END, 0)],
        [(HEAD[2048:], 3584), (END, 0)],
        [(HEAD, 0), (HEAD[2048:], 3584), (END, 0)],
        [(HEAD + END, 0), (tar_of(("more", FILE, b"x")), 0)],
        [(HEAD, 0)],
        [],
    ],
)
def test_frames_that_do_not_fit_each_other_are_refused(tmp_path: Path, frames: list[tuple[bytes, int]]) -> None:
    # given frames that another reader of the same archive would understand otherwise, or that are not all here
    (tmp_path / "a").write_bytes(b"".join(frame_of(*frame) for frame in frames))
    before = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    # when they are unpacked, then they are refused, and neither thread nor descriptor stays
    with pytest.raises(UnsafeArchive):
        unpack(tmp_path / "a", tmp_path / "out")
    assert (set(threading.enumerate()), len(os.listdir("/proc/self/fd"))) == before


def test_frames_of_zeros_are_refused_for_what_they_claim(tmp_path: Path) -> None:
    # given frames that say that they hold gigabytes, the last of which are damaged: nobody looks at them
    info = tarfile.TarInfo("zeros")
    info.size = 10_000_000_000
    padded, piece = info.size + -info.size % 512, 32_000_000
    frames = frame_of(info.tobuf() + bytes(piece))
    for number in range(1, 12):
        frames += frame_of(bytes(piece), padded - number * piece)
    (tmp_path / "a").write_bytes(frames)
    # when they are unpacked where there is room, then no more is written than is believed unasked
    with pytest.raises(UnsafeArchive, match="unpacks to more than 268435456 bytes"):
        unpack(tmp_path / "a", tmp_path / "out", bytes_max=1 << 50)
    assert (tmp_path / "out" / "zeros").stat().st_size <= 268_435_456
