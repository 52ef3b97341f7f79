"""What live tests of programs have in common: a folder of objects, a spawner, a workspace, and a worker's manager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.manager import ScriptedManager
from vine.names import WorkerId
from vine.wire.parts import Resources
from vine_worker.places import Places
from vine_worker.programs import Programs


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir()
    (folder / "data").write_bytes(b"stored")
    return folder


@pytest.fixture
def programs(objects: Path) -> Iterator[Programs]:
    """A spawner that protects the objects if it can."""
    started = Programs(objects, "auto")
    yield started
    started.close()


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    made = Places(tmp_path / "workspace", WorkerId("w1"), None, Resources(cores=2, memory_mb=100, disk_mb=100))
    yield made
    made.remove()


@pytest.fixture
def unprotected(places: Places) -> Iterator[Programs]:
    """A spawner that leaves it to the worker to find altered inputs."""
    started = Programs(places.store.objects, "check")
    yield started
    started.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ScriptedManager]:
    scripted = ScriptedManager(tmp_path)
    yield scripted
    scripted.close()


@pytest.fixture
def worker(manager: ScriptedManager) -> WorkerId:
    manager.start_worker()
    return manager.joined()
