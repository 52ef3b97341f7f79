"""What is in an archive and what unpacking costs is told without unpacking it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.environments.made import PYTHON, virtualenv
from vine.environments.inspect import inspected
from vine.environments.pack import pack_virtualenv
from vine.errors import UnsafeArchive


def test_sizes_packages_and_needs_are_told(tmp_path: Path) -> None:
    made = virtualenv(tmp_path / "made", small="x = 1\n")
    folder = made / "lib" / f"python{PYTHON}" / "site-packages"
    for name, size in (("large/__init__.py", 10_000), ("large.libs/a.so", 5000), ("large-1.0.dist-info/RECORD", 10)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"#" * size)
    (folder / "large-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: large\nVersion: 1.0\n")
    packed = pack_virtualenv(made, tmp_path / "a.tar.zst")
    report = inspected(packed)
    assert report.archive_bytes == packed.stat().st_size
    assert report.packages[0][0] == "large"
    assert report.packages[0][1] >= 15_010
    assert report.disk_bytes % 4096 == 0
    assert report.disk_bytes >= report.content_bytes
    assert report.says.pins == ("large==1.0",)
    assert not report.has_library
    plain = report.as_plain()
    assert (plain["python"], plain["pins"]) == (PYTHON, ["large==1.0"])


def test_an_archive_that_workers_would_refuse_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a", "w") as archive:
        archive.addfile(tarfile.TarInfo("../x"))
    with pytest.raises(UnsafeArchive):
        inspected(tmp_path / "a")
