"""Is a worker's folder its own, and is what others left behind removed?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vine.errors import UsageError
from vine.names import WorkerId
from vine.wire.messages import Resources
from vine_worker.places import Places, remove_abandoned

ROOM = Resources(disk_mb=10)


def test_nothing_is_left_of_a_removed_workspace(tmp_path: Path) -> None:
    places = Places(tmp_path, WorkerId("w1"), None, ROOM)
    assert (places.dill / "dill" / "__init__.py").exists()
    places.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_removed_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    living = Places(tmp_path, WorkerId("w1"), None, ROOM)
    left = tmp_path / "vine-worker-dead"
    left.mkdir()
    (left / "lock").touch()
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["vine-worker-w1"]
    living.remove()


def test_what_is_somebody_elses_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / "vine-worker-dead"
    left.mkdir()
    (left / "lock").touch()
    monkeypatch.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)
    remove_abandoned(tmp_path)
    assert left.exists()


def test_two_workers_of_one_name_cannot_share_a_folder(tmp_path: Path) -> None:
    places = Places(tmp_path, WorkerId("w1"), None, ROOM)
    with pytest.raises(UsageError, match="another --workspace"):
        Places(tmp_path, WorkerId("w1"), None, ROOM)
    places.remove()
