"""Is a worker's folder its own, and is what others left behind removed?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.errors import UsageError
from vine.names import ObjectId, WorkerId
from vine.wire.messages import Resources
from vine_worker.places import Places

ROOM = Resources(disk_mb=10)


def test_nothing_is_left_of_a_removed_workspace(tmp_path: Path) -> None:
    places = Places(tmp_path, WorkerId("w1"), None, ROOM)
    assert (places.dill / "dill" / "__init__.py").exists()
    places.remove()
    assert list(tmp_path.iterdir()) == []


def left_behind(base: Path, name: str, data: bytes, forever: bool = False, killed: bool = True) -> ObjectId:
    """A worker has come, stored an object, and gone."""
    places = Places(base, WorkerId(name), None, ROOM)
    key = object_id(manifest_of_bytes(data))
    places.store.put_bytes(key, data)
    places.store.rate(key, spare=True, forever=forever)
    (places.spill / "value").touch()
    if killed:
        places.store.close()
        os.close(places._lock)  # As the kernel does it.
    else:
        places.admitted = True
        places.remove()
    return key


def test_what_a_killed_worker_left_is_taken_over_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    living = Places(tmp_path, WorkerId("w1"), None, ROOM)
    key = left_behind(tmp_path, "w2", bytes(100_000))
    third = Places(tmp_path, WorkerId("w3"), None, ROOM)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vine-worker-w1", "vine-worker-w3"]
    assert third.store.held() == {key: False}
    assert not list(third.spill.iterdir())
    assert third.holdings.chunk_count(key) == 1
    for places in (third, living):
        places.admitted = True
        places.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_is_started_again_finds_its_own_folder(tmp_path: Path) -> None:
    left_behind(tmp_path, "a", bytes(100_000), forever=True)
    first = Places(tmp_path, WorkerId("b"), None, ROOM)
    key = left_behind(tmp_path, "c", bytes(100_001))
    again = Places(tmp_path, WorkerId("c"), None, ROOM)
    assert again.store.held() == {key: False}
    again.remove()
    first.remove()


def test_what_is_kept_for_ever_waits_in_the_workspace_for_the_workers_that_come(tmp_path: Path) -> None:
    # given two workers side by side that end in order, one of which keeps something
    other = Places(tmp_path, WorkerId("other"), None, ROOM)
    key = left_behind(tmp_path, "w1", b"small", forever=True, killed=False)
    other.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["vine-worker-w1"]
    # when two come after them, then the first finds it, and the second begins with nothing
    first = Places(tmp_path, WorkerId("w2"), None, ROOM)
    second = Places(tmp_path, WorkerId("w3"), None, ROOM)
    assert (first.store.held(), second.store.held()) == ({key: True}, {})
    assert first.store.path(key).read_bytes() == b"small"
    for places in (first, second):
        places.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["vine-worker-w2"]


def test_a_worker_that_is_not_admitted_leaves_what_it_has_found(tmp_path: Path) -> None:
    key = left_behind(tmp_path, "w1", bytes(100_000))
    Places(tmp_path, WorkerId("refused"), None, ROOM).remove()
    places = Places(tmp_path, WorkerId("w2"), None, ROOM)
    assert places.store.held() == {key: False}
    places.admitted = True
    places.remove()
    assert list(tmp_path.iterdir()) == []


def test_one_worker_takes_one_store_and_removes_those_in_which_nothing_is_kept(tmp_path: Path) -> None:
    workers = [Places(tmp_path, WorkerId(f"w{number}"), None, ROOM) for number in range(3)]
    for number, places in enumerate(workers):
        data = bytes(100_000 + number)
        places.store.put_bytes(object_id(manifest_of_bytes(data)), data)
        places.store.rate(object_id(manifest_of_bytes(data)), spare=True, forever=number == 1)
        places.store.close()
        os.close(places._lock)
    new = Places(tmp_path, WorkerId("new"), None, ROOM)
    new.admitted = True
    new.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["vine-worker-w1"]


def test_what_is_somebody_elses_is_neither_trusted_nor_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_behind(tmp_path, "w1", bytes(100_000))
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    places = Places(tmp_path, WorkerId("w2"), None, ROOM)
    assert places.store.held() == {}
    assert (tmp_path / "vine-worker-w1").exists()
    places.remove()


def test_two_workers_of_one_name_cannot_share_a_folder(tmp_path: Path) -> None:
    places = Places(tmp_path, WorkerId("w1"), None, ROOM)
    with pytest.raises(UsageError, match="another --workspace"):
        Places(tmp_path, WorkerId("w1"), None, ROOM)
    places.remove()
