"""The same members are packed both ways, so that sizes and times can be compared."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from benchmarks.environment.packing import pack
from tests.environments.made import virtualenv
from vine.content.archive import unpack


@pytest.mark.live
def test_both_archives_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    packed = pack(virtualenv(tmp_path / "made", mine="VALUE = 1\n"), tmp_path / "out")
    unpack(packed.frames, tmp_path / "frames")
    with tarfile.open(packed.gzip) as archive:
        files = {member.name.removeprefix("./"): member.size for member in archive if member.isreg()}
    tree = tmp_path / "frames"
    plain = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    found = {str(path.relative_to(tree)): path.stat().st_size for path in plain}
    assert files == found
    assert (packed.files, packed.content_bytes) == (len(found), sum(found.values()))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [packed.gzip.name, packed.frames.name]
