"""Each way of unpacking is really gone, and leaves nothing for the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.environment.packing import pack
from benchmarks.environment.unpacking import unpacking_s
from tests.environments.made import virtualenv


@pytest.mark.live
def test_each_way_has_a_time(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    packed = pack(virtualenv(tmp_path / "made", mine="VALUE = 1\n"), tmp_path / "out")
    found = unpacking_s(packed, tmp_path / "out", 1)
    assert set(found) == {"ours", "tar --zstd", "tarfile, gzip", "ours, gzip"}
    assert all(seconds > 0 for seconds in found.values())
    assert not (tmp_path / "out" / "unpacked").exists()
