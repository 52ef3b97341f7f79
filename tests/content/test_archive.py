"""Archives unpack to what was packed, and nothing in them gets out of the folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.content.test_compression import COMPRESSORS
from vine.content.archive import main, unpack
from vine.errors import DiskFull, ExitCode, UnsafeArchive, UsageError

Entry = tuple[str, bytes, str | bytes]  # Name, type, and the target or content.
FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def archive_of(path: Path, *entries: Entry, mode: int = 0o644) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, kind, rest in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, mode, 1_500_000_000
            if isinstance(rest, bytes):
                info.size = len(rest)
                archive.addfile(info, io.BytesIO(rest))
            else:
                info.linkname = rest
                archive.addfile(info)
    return path


def make_tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "bin" / "same tool").hardlink_to(root / "bin" / "tool")
    (root / "bin" / "link").symlink_to("../data")
    (root / "data").write_bytes(os.urandom(1_500_000))
    os.utime(root / "data", (1_000_000_000, 1_000_000_000))
    (root / ("long " * 18)).write_bytes(b"")
    return root


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_was_packed_is_unpacked_as_it_was(tmp_path: Path, compression: str, dialect: int) -> None:
    tree = make_tree(tmp_path / "tree")
    with tarfile.open(tmp_path / "a", f"w:{compression}", format=dialect) as archive:  # type: ignore[call-overload]
        archive.add(tree, ".")
    out = tmp_path / "out"
    unpack(tmp_path / "a", out)
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == sorted(
        path.relative_to(tree) for path in tree.rglob("*")
    )
    assert (out / "data").read_bytes() == (tree / "data").read_bytes()
    assert (out / "data").stat().st_mtime == 1_000_000_000
    assert os.readlink(out / "bin" / "link") == "../data"
    assert (out / "bin" / "tool").samefile(out / "bin" / "same tool")
    assert os.access(out / "bin" / "tool", os.X_OK)


ESCAPES: dict[str, tuple[Entry, ...]] = {
    "an absolute name": (("/tmp/x", FILE, b"x"),),
    "a way up": (("../x", FILE, b"x"),),
    "a way up from below": (("a/../../x", FILE, b"x"),),
    "an absolute link": (("l", LINK, "/etc"),),
    "a link up": (("a/l", LINK, "../../x"),),
    "a link through a link": (("p/q/back", LINK, ".."), ("z", LINK, "p/q/back/../..")),
    "a link through a later link": (("z", LINK, "p/q/back/../.."), ("p/q/back", LINK, "..")),
    "a member behind a link": (("d", FOLDER, b""), ("l", LINK, "d"), ("l/x", FILE, b"x")),
    "a member behind a link to itself": (("l", LINK, "."), ("l/x", FILE, b"x")),
    "a file that comes twice": (("f", FILE, b"old"), ("f", FILE, b"new")),
    "a file that comes twice under other names": (("d/f", FILE, b"old"), ("./d//f", FILE, b"new")),
    "a link that comes twice": (("l", LINK, "t"), ("l", LINK, "u")),
    "a hard link that comes twice": (("f", FILE, b"x"), ("h", HARD, "f"), ("h", HARD, "f")),
    "a folder over a file": (("f", FILE, b"x"), ("f", FOLDER, b"")),
    "a file over a folder": (("d", FOLDER, b""), ("d", FILE, b"x")),
    "a member behind a file": (("f", FILE, b""), ("f/x", FILE, b"x")),
    "a file over a link": (("l", LINK, "t"), ("l", FILE, b"x")),
    "a link over a file": (("f", FILE, b"x"), ("f", LINK, "t")),
    "a folder over a link": (("l", LINK, "t"), ("l", FOLDER, b"")),
    "a link over a folder": (("d", FOLDER, b""), ("d", LINK, "t")),
    "a file over a hard link": (("f", FILE, b"x"), ("h", HARD, "f"), ("h", FILE, b"y")),
    "a hard link out": (("h", HARD, "../x"),),
    "an absolute hard link": (("h", HARD, "/etc/passwd"),),
    "a hard link to nothing": (("h", HARD, "nothing"),),
    "a hard link to a folder": (("d", FOLDER, b""), ("h", HARD, "d")),
    "a link moved up by a hard link": (("a/b/l", LINK, "../x"), ("l", HARD, "a/b/l")),
    "a link moved up by two hard links": (("a/b/l", LINK, "../x"), ("a/b/m", HARD, "a/b/l"), ("m", HARD, "a/b/m")),
    "a device": (("dev", tarfile.CHRTYPE, b""),),
    "a disk": (("dev", tarfile.BLKTYPE, b""),),
    "a pipe": (("pipe", tarfile.FIFOTYPE, b""),),
    "an unknown type": (("what", b"Z", b""),),
    "an empty link": (("l", LINK, ""),),
    "a file in place of the folder": (("./", FILE, b""), (".", LINK, "x")),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_gets_out(tmp_path: Path, name: str) -> None:
    # given a folder with a file beside it, and an archive that would reach out
    (tmp_path / "x").write_bytes(b"mine")
    (tmp_path / "below").mkdir()
    archive = archive_of(tmp_path / "archive.tar", *ESCAPES[name])
    # when it is unpacked, then it is refused in a line that names it
    with pytest.raises(UnsafeArchive) as caught:
        unpack(archive, tmp_path / "below" / "out")
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    # and nothing has appeared outside, nor was anything there changed
    assert (tmp_path / "x").read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["archive.tar", "below", "x"]
    assert os.listdir(tmp_path / "below") == ["out"]


names = st.sampled_from(["a", "b", "a/b", "a/c", "b/a", "../x", "./a", "a/..", "c/d/e", "/x"])
entries = st.tuples(
    names,
    st.sampled_from([FILE, FOLDER, LINK, HARD]),
    st.sampled_from(["a", "b", "..", "../..", "a/b/..", "../x", "b/../../x", "."]),
)


@settings(max_examples=300, deadline=None)
@example(members=[("b", LINK, "b/../../x")])
@given(members=st.lists(entries, max_size=6))
def test_no_combination_of_members_gets_out(
    members: list[tuple[str, bytes, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("combination")
    (root / "x").write_bytes(b"mine")
    made = [(name, kind, target if kind in (LINK, HARD) else b"data") for name, kind, target in members]
    made = [(name, kind, b"" if kind == FOLDER else rest) for name, kind, rest in made]
    archive = archive_of(root / "archive.tar", *made)
    out = root / "below" / "out"
    accepted = True
    try:
        unpack(archive, out)
    except UnsafeArchive:
        accepted = False
    assert (root / "x").read_bytes() == b"mine"
    assert (root / "x").stat().st_nlink == 1
    assert sorted(os.listdir(root)) == ["archive.tar", "below", "x"]
    assert os.listdir(root / "below") == ["out"]
    if accepted:
        for path in out.rglob("*"):
            real = Path(os.path.realpath(path))
            assert real == out or out in real.parents


def test_a_link_to_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.pax_headers = LINK, {"linkpath": "a\0b"}
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(info)
    with pytest.raises(UnsafeArchive, match="leads nowhere"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("bit", [0o4000, 0o2000])
def test_a_program_that_would_run_as_somebody_else_is_refused(tmp_path: Path, bit: int) -> None:
    with pytest.raises(UnsafeArchive, match="'tool' would run as another user"):
        unpack(archive_of(tmp_path / "a.tar", ("tool", FILE, b"x"), mode=0o755 | bit), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_folders_that_hand_down_their_group_are_folders(tmp_path: Path) -> None:
    unpack(archive_of(tmp_path / "a.tar", ("shared", FOLDER, b""), mode=0o2775), tmp_path / "out")
    assert (tmp_path / "out" / "shared").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize("name", ["n" * 4096, "n" * 255 + "/" + "m" * 3840, "a/" * 2047 + "ab", "a/" * 129 + "b"])
def test_names_that_are_too_long_or_too_deep_are_refused_and_cut_in_what_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeArchive, match="shorten it") as caught:
        unpack(archive_of(tmp_path / "a.tar", (name, FILE, b"x")), tmp_path / "out")
    assert len(str(caught.value)) < 400
    assert os.listdir(tmp_path / "out") == []


def test_names_that_no_file_system_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive, match="File name too long"):
        unpack(archive_of(tmp_path / "a.tar", ("n" * 300, FILE, b"x")), tmp_path / "out")


def test_names_as_tar_programs_write_them_are_understood(tmp_path: Path) -> None:
    members: tuple[Entry, ...] = (
        ("./", FOLDER, b""),
        ("./a//b/", FOLDER, b""),
        ("a/b/./c", FILE, b"x"),
        ("./a", FOLDER, b""),
    )
    unpack(archive_of(tmp_path / "a.tar", *members), tmp_path / "out")
    assert (tmp_path / "out" / "a" / "b" / "c").read_bytes() == b"x"


def test_an_archive_larger_than_allowed_stops_before_it_is_written(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tar", ("small", FILE, b"x"), ("large", FILE, bytes(100_000)))
    with pytest.raises(DiskFull, match=r"more than 50000 bytes.*--disk"):
        unpack(archive, tmp_path / "out", bytes_max=50_000)
    assert os.listdir(tmp_path / "out") == ["small"]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_an_archive_that_grows_beyond_reason_is_refused_before_it_fills_a_disk(tmp_path: Path, kind: str) -> None:
    # given an archive of ten gigabytes of zeros, of which the first are enough here: the others are never read
    info = tarfile.TarInfo("zeros")
    info.size = 10_000_000_000
    (tmp_path / "a").write_bytes(COMPRESSORS[kind](info.tobuf() + bytes(4_000_000)))
    # when it is unpacked where there is room, then it is refused for what it claims
    with pytest.raises(UnsafeArchive, match="unpacks to more than 268435456 bytes, 100 times its size"):
        unpack(tmp_path / "a", tmp_path / "out", bytes_max=1 << 50)
    assert os.listdir(tmp_path / "out") == []


def test_a_million_empty_members_count_too(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tar", *((f"{number}", FILE, b"") for number in range(100)))
    with pytest.raises(DiskFull):
        unpack(archive, tmp_path / "out", bytes_max=10_000)


def test_only_an_empty_folder_is_unpacked_into(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tar", ("f", FILE, b"x"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "f").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="not empty"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda path: archive_of(path, ("f", FILE, b"x")), ExitCode.OK, ""),
        (lambda path: archive_of(path, ("/f", FILE, b"x")), ExitCode.FAILED, "is absolute"),
        (lambda path: archive_of(path, ("f", FILE, bytes(100_000))), ExitCode.NO_SPACE, "more than 50000 bytes"),
        (lambda path: path.write_bytes(b"text"), ExitCode.FAILED, "cut short"),
        (lambda path: None, ExitCode.FAILED, "cannot be read"),
    ],
)
def test_as_a_program_it_answers_in_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], object], code: int, says: str
) -> None:
    make(tmp_path / "a")
    assert main([str(tmp_path / "a"), str(tmp_path / "out"), "--bytes-max", "50000"]) == code
    written = capsys.readouterr()
    assert written.out == ""
    assert says in written.err
    assert len(written.err.splitlines()) == (code != 0)


@pytest.mark.live
def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    archive_of(tmp_path / "a.tar", ("f", FILE, b"x"))
    command = [sys.executable, "-m", "vine.content.archive", str(tmp_path / "a.tar"), str(tmp_path / "out")]
    done = subprocess.run(command, env={"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out" / "f").read_bytes() == b"x"


def test_an_archive_that_is_refused_leaves_no_thread_behind(tmp_path: Path) -> None:
    # given an archive whose first member is refused while the reader is far ahead of it
    archive = archive_of(tmp_path / "archive.tar", ("../x", FILE, b"x" * 3_000_000))
    before = set(threading.enumerate())
    # when it is refused, and the error with its frames is still held
    with pytest.raises(UnsafeArchive) as caught:
        unpack(archive, tmp_path / "out")
    # then the reader's threads have ended already
    assert set(threading.enumerate()) == before
    assert caught.value.__traceback__ is not None
