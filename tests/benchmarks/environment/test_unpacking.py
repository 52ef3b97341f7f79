"""Each way of unpacking is really gone, and leaves nothing for the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.environment.packing import pack_frames, pack_gzip
from benchmarks.environment.unpacking import tar_s, unpacking_s
from tests.environments.made import virtualenv


@pytest.mark.live
def test_each_way_has_a_time(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    frames = pack_frames(virtualenv(tmp_path / "made", mine="VALUE = 1\n"), tmp_path / "out")
    gzip = pack_gzip(frames, tmp_path / "out")
    found = {**unpacking_s(frames, gzip, tmp_path / "out", 1), "tars": tar_s(frames, tmp_path / "out", 3)}
    assert set(found) == {"ours", "tar --zstd", "tarfile, gzip", "ours, gzip", "tars"}
    assert all(seconds > 0 for seconds in found.values())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [gzip.archive.name, frames.archive.name]
