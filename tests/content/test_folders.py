"""Folders become read-only, show every change, and go away however read-only they are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vine.content import folders
from vine.errors import FileMissing


def make_tree(root: Path) -> Path:
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "data").write_bytes(b"data")
    (root / "tool").write_bytes(b"#!")
    (root / "tool").chmod(0o755)
    (root / "link").symlink_to("sub/data")
    return root


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def sealed(root: Path) -> folders.Signatures:
    folders.protect(root)
    return {**folders.signatures_within(root), "": folders.seal(root)}


def test_protection_leaves_nothing_writable_and_keeps_programs(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")
    sealed(root)
    assert [mode(root / name) for name in ("", "sub", "sub/data", "tool")] == [0o555, 0o555, 0o444, 0o555]
    single = tmp_path / "file"
    single.write_bytes(b"x")
    sealed(single)
    assert mode(single) == 0o555


def test_times_say_nothing(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")
    os.utime(root / "sub" / "data", (7, 7))
    folders.protect(root)
    assert (root / "sub" / "data").stat().st_mtime_ns == folders.STORED_TIME_NS
    assert (root / "sub").stat().st_mtime_ns == folders.STORED_TIME_NS


changes: dict[str, Callable[[Path], object]] = {
    "written": lambda root: (root / "sub" / "data").open("r+b").write(b"X"),
    "truncated": lambda root: os.truncate(root / "sub" / "data", 1),
    "added": lambda root: (root / "sub" / "new").write_bytes(b""),
    "removed": lambda root: (root / "tool").unlink(),
    "replaced by an equal": lambda root: (
        (root / "copy").write_bytes(b"#!"),
        (root / "copy").replace(root / "tool"),
    ),
    "mode changed": lambda root: (root / "tool").chmod(0o777),
    "written and time put back": lambda root: (
        (root / "sub" / "data").write_bytes(b"DATA"),
        os.utime(root / "sub" / "data", ns=(folders.STORED_TIME_NS, folders.STORED_TIME_NS)),
    ),
}


@pytest.mark.parametrize("change", changes)
def test_every_change_shows(tmp_path: Path, change: str) -> None:
    root = make_tree(tmp_path / "tree")
    before = sealed(root)
    assert folders.signatures_of(root) == before
    for folder in (root, root / "sub"):
        folder.chmod(0o755)
    (root / "sub" / "data").chmod(0o644)
    opened = folders.signatures_of(root)
    changes[change](root)
    assert folders.signatures_of(root) != opened


def test_reading_is_no_change(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")
    before = sealed(root)
    assert (root / "link").read_bytes() == b"data"
    assert sorted(os.listdir(root)) == ["link", "sub", "tool"]
    assert folders.signatures_of(root) == before


def test_read_only_folders_are_moved_and_removed_without_root(tmp_path: Path) -> None:
    # given a protected tree of a user to whom file modes apply
    script = (
        "import os, sys; from pathlib import Path; from vine.content import folders\n"
        "os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534))\n"
        "root = Path(sys.argv[1]); (root / 'a' / 'b').mkdir(parents=True); (root / 'a' / 'b' / 'f').touch()\n"
        "folders.protect(root / 'a'); folders.seal(root / 'a')\n"
        "folders.move(root / 'a', root / 'moved'); folders.remove(root / 'moved'); print(list(root.iterdir()))"
    )
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent != Path(tempfile.gettempdir()):
            parent.chmod(0o755)
    # when it is moved and removed
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "mine")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    # then nothing of it is left
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_removing_what_is_not_there_is_done_already(tmp_path: Path) -> None:
    folders.remove(tmp_path / "nothing")


def test_removal_does_not_follow_links(tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(outside)
    folders.remove(tmp_path / "tree")
    assert (outside / "tool").exists()


def test_what_others_share_by_a_second_name_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"before")
    os.link(source, tmp_path / "second name")
    folders.move(source, tmp_path / "moved")
    (tmp_path / "second name").write_bytes(b"after")
    assert (tmp_path / "moved").read_bytes() == b"before"
    assert not source.exists()


def test_behind_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"x")
    (tmp_path / "output").symlink_to("input")
    folders.move(tmp_path / "output", tmp_path / "moved")
    assert not (tmp_path / "moved").is_symlink()
    assert (tmp_path / "moved").read_bytes() == b"x"
    assert (tmp_path / "input").exists()
    assert not (tmp_path / "output").is_symlink()


def test_what_is_not_there_cannot_be_moved(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="nothing does not exist"):
        folders.move(tmp_path / "nothing", tmp_path / "moved")


def test_a_folder_that_is_parted_from_others_shares_no_file_with_them(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.write_bytes(b"of the user")
    folder.mkdir()
    (folder / "member").hardlink_to(outside)
    folders.part_from_others(folder)
    outside.write_bytes(b"written to later")
    assert (folder / "member").read_bytes() == b"of the user"
    assert list(folder.iterdir()) == [folder / "member"]


def test_protecting_a_folder_tells_the_versions_that_it_leaves(tmp_path: Path) -> None:
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "below" / "writable").write_bytes(b"x")
    (tmp_path / "tree" / "ready").write_bytes(b"y")
    (tmp_path / "tree" / "ready").chmod(0o444)
    (tmp_path / "tree" / "link").symlink_to("ready")
    versions = folders.protect(tmp_path / "tree")
    assert versions == folders.signatures_within(tmp_path / "tree")
    assert set(versions) == {"below", "below/writable", "ready", "link"}
