"""What live tests of programs have in common: a folder of objects, and a spawner that protects it if it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vine_worker.programs import Programs


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir()
    (folder / "data").write_bytes(b"stored")
    return folder


@pytest.fixture
def programs(objects: Path) -> Iterator[Programs]:
    started = Programs(objects, "auto")
    yield started
    started.close()
