"""Is a worker's folder its own, and is what others left behind removed?"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.errors import UsageError
from vine.names import ObjectId, WorkerId
from vine.wire.parts import Resources
from vine_worker.places import Places

ROOM = Resources(disk_mb=10)


def test_nothing_is_left_of_a_removed_workspace(tmp_path: Path) -> None:
    places = Places(tmp_path, WorkerId("w1"), None, ROOM)
    assert (places.dill / "dill" / "__init__.py").exists()
    places.remove()
    assert list(tmp_path.iterdir()) == []


def end(places: Places) -> None:
    """The worker was admitted, and ends in order."""
    places.admitted = True
    places.remove()


def kill(places: Places) -> None:
    """As the kernel does it."""
    places.store.abandon()
    os.close(places._lock)


def stored(places: Places, data: bytes, forever: bool = False) -> ObjectId:
    key = object_id(manifest_of_bytes(data))
    places.store.put_bytes(key, data)
    places.store.rate(key, spare=True, forever=forever)
    return key


def names(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir())


STORE = f"vine-store-{os.geteuid()}"


def test_workers_of_one_workspace_share_its_store_and_nothing_else(tmp_path: Path) -> None:
    # given two workers
    first, second = (Places(tmp_path, WorkerId(name), None, ROOM) for name in ("w1", "w2"))
    assert names(tmp_path) == [STORE, "vine-worker-w1", "vine-worker-w2"]
    # when one has something, then the other finds it, and who comes later knows of it
    key = stored(first, bytes(100_000))
    assert second.store.find(key)
    assert second.store.path(key) == first.store.path(key)
    third = Places(tmp_path, WorkerId("w3"), None, ROOM)
    assert third.holdings.chunk_count(key) == 1
    # and it stays until the last of them has ended
    end(first)
    assert second.store.path(key).exists()
    for places in (third, second):
        end(places)
    assert names(tmp_path) == []


def test_workers_with_names_of_different_hosts_share_nothing(tmp_path: Path) -> None:
    first, mate, other = (Places(tmp_path, WorkerId(f"w-{n}"), None, ROOM, n[0]) for n in ("a1", "a2", "b1"))
    key = stored(first, bytes(100_000))
    assert mate.store.find(key)
    assert not other.store.find(key)
    assert {path.name for path in tmp_path.glob("vine-store*")} == {f"{STORE}-a", f"{STORE}-b"}
    for places in (first, mate, other):
        end(places)


def test_what_killed_workers_left_is_taken_over_and_their_folders_are_removed(tmp_path: Path) -> None:
    first, second = (Places(tmp_path, WorkerId(name), None, ROOM) for name in ("w1", "w2"))
    keys = [stored(first, bytes(100_000)), stored(second, bytes(100_001))]
    (first.spill / "value").touch()
    kill(first)
    kill(second)
    third = Places(tmp_path, WorkerId("w3"), None, ROOM)
    assert names(tmp_path) == [STORE, "vine-worker-w3"]
    assert third.store.held() == dict.fromkeys(keys, False)
    assert third.holdings.chunk_count(keys[0]) == 1
    end(third)
    assert names(tmp_path) == []


def test_a_folder_that_is_taken_for_a_killed_workers_before_its_own_has_locked_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given one worker that has made its folder, and another that starts before the first one goes on
    flock, beside = fcntl.flock, list[Places]()

    def start_beside(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        beside.append(Places(tmp_path, WorkerId("w2"), None, ROOM))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", start_beside)
    # when it goes on, then both are there
    first = Places(tmp_path, WorkerId("w1"), None, ROOM)
    assert names(tmp_path) == [STORE, "vine-worker-w1", "vine-worker-w2"]
    assert first.spill.is_dir()
    end(first)
    end(beside[0])


def test_a_worker_that_is_started_again_finds_its_folder_free(tmp_path: Path) -> None:
    first = Places(tmp_path, WorkerId("a"), None, ROOM)
    key = stored(first, bytes(100_000))
    kill(first)
    again = Places(tmp_path, WorkerId("a"), None, ROOM)
    assert again.store.held() == {key: False}
    end(again)


def test_what_is_kept_for_ever_waits_in_the_workspace_for_the_workers_that_come(tmp_path: Path) -> None:
    # given two workers side by side that end in order, one of which keeps something
    first, other = (Places(tmp_path, WorkerId(name), None, ROOM) for name in ("w1", "other"))
    small, large = stored(first, b"small", forever=True), stored(first, bytes(100_000), forever=True)
    stored(first, bytes(100_001))
    end(first)
    end(other)
    assert names(tmp_path) == [STORE]
    # when others come after them, then they find it
    for name in ("w2", "w3"):
        places = Places(tmp_path, WorkerId(name), None, ROOM)
        assert places.store.held() == {small: True, large: True}
        assert places.store.path(small).read_bytes() == b"small"
        end(places)


def test_a_worker_that_is_not_admitted_leaves_what_it_has_found(tmp_path: Path) -> None:
    first = Places(tmp_path, WorkerId("w1"), None, ROOM)
    key = stored(first, bytes(100_000))
    kill(first)
    Places(tmp_path, WorkerId("refused"), None, ROOM).remove()
    places = Places(tmp_path, WorkerId("w2"), None, ROOM)
    assert places.store.held() == {key: False}
    end(places)
    assert names(tmp_path) == []


def test_what_is_somebody_elses_is_neither_trusted_nor_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Places(tmp_path, WorkerId("w1"), None, ROOM)
    stored(first, bytes(100_000))
    kill(first)
    us = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: us)
    (tmp_path / f"vine-store-{us}").mkdir()
    with pytest.raises(UsageError, match="somebody else's"):
        Places(tmp_path, WorkerId("w2"), None, ROOM)
    assert names(tmp_path) == [STORE, f"vine-store-{us}", "vine-worker-w1"]


def test_a_workspace_that_another_machine_uses_too_has_a_store_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Places(tmp_path, WorkerId("w1"), None, ROOM)
    key = stored(here, bytes(100_000))
    for room in ("members", "ledger", "entrance", "sharing"):
        monkeypatch.setattr(f"vine.content.{room}.boot_id", lambda: "another machine")
    there, mate = (Places(tmp_path, WorkerId(name), None, ROOM) for name in ("w2", "w3"))
    assert there.store.root == mate.store.root != here.store.root
    assert not there.store.find(key)
    for places in (there, mate):
        end(places)


def test_two_workers_of_one_name_cannot_share_a_folder(tmp_path: Path) -> None:
    places = Places(tmp_path, WorkerId("w1"), None, ROOM)
    with pytest.raises(UsageError, match=r"'w1' runs in .*another --worker-id"):
        Places(tmp_path, WorkerId("w1"), None, ROOM)
    places.remove()
