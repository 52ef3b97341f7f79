"""The same members are packed both ways, so that sizes and times can be compared."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from benchmarks.environment.packing import pack_frames, pack_gzip
from tests.environments.made import virtualenv
from vine.content.archive import unpack


@pytest.mark.live
def test_both_archives_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    frames = pack_frames(virtualenv(tmp_path / "made", mine="VALUE = 1\n"), tmp_path / "out")
    gzip = pack_gzip(frames, tmp_path / "out")
    tree = tmp_path / "frames"
    unpack(frames.archive, tree)
    with tarfile.open(gzip.archive) as archive:
        files = {member.name.removeprefix("./"): member.size for member in archive if member.isreg()}
    plain = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    found = {str(path.relative_to(tree)): path.stat().st_size for path in plain}
    assert files == found
    assert (frames.files, frames.content_bytes) == (len(found), sum(found.values())) == (gzip.files, gzip.content_bytes)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [gzip.archive.name, frames.archive.name]
