"""A tarball in the cache is always a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mnist_sweep.packing import Package, Packages


def joined(folder: Path, out: Path) -> Path:
    """A packer that is easy to check: the files' bytes one after the other."""
    out.write_bytes(b"".join(path.read_bytes() for path in sorted(folder.iterdir())))
    return out


def interrupted(folder: Path, out: Path) -> Path:
    out.write_bytes(b"half of")
    raise KeyboardInterrupt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"one")
    (folder / "b").write_bytes(b"two")
    (folder / "link").symlink_to("a")
    return folder


def test_sizes_count_the_tarball_and_the_files_once(folder: Path, tmp_path: Path) -> None:
    package = Package(folder, tmp_path / "packed" / "x.tar.zst", joined)
    package.pack()
    assert package.sizes() == {"packed_bytes": 9, "unpacked_bytes": 6}


def test_an_interrupted_packing_leaves_no_tarball(folder: Path, tmp_path: Path) -> None:
    package = Package(folder, tmp_path / "x.tar.zst", interrupted)
    with pytest.raises(KeyboardInterrupt):
        package.pack()
    assert not package.tarball.exists()


def test_hot_runs_pack_only_what_is_not_packed(folder: Path, tmp_path: Path) -> None:
    packed = Package(folder, tmp_path / "a.tar.zst", interrupted)
    packed.tarball.write_bytes(b"there")
    missing = Package(folder, tmp_path / "b.tar.zst", joined)
    Packages(packed, missing).pack_missing()
    assert packed.tarball.read_bytes() == b"there"
    assert missing.tarball.exists()


def test_packing_again_replaces_the_tarball(folder: Path, tmp_path: Path) -> None:
    package = Package(folder, tmp_path / "x.tar.zst", joined)
    package.tarball.write_bytes(b"old")
    package.pack()
    assert package.tarball.read_bytes() == b"onetwoone"
