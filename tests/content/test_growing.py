"""A file of unknown content has its room before its bytes, and none when it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.content.objects import made_of, on_disk
from vine.content.store import Store
from vine.errors import DiskFull


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace", 1_000_000)


def test_what_has_grown_is_kept_as_what_it_is(store: Store) -> None:
    made = made_of(600_000)
    growing = store.begin_growing()
    for at in range(0, 600_000, 100_000):
        growing.write(made.content[at : at + 100_000])
    assert store.keep_grown(growing) == (made.key, made.manifest)
    growing.discard()
    assert store.path(made.key).read_bytes() == made.content
    assert on_disk(store) == {f"objects/{made.key}"}
    assert store.used_bytes == 600_000


def test_its_room_is_taken_when_its_size_is_known(store: Store) -> None:
    growing = store.begin_growing()
    growing.make_room(900_000)
    assert store.used_bytes == 900_000
    growing.write(b"x")
    assert store.used_bytes == 900_000
    with pytest.raises(DiskFull):
        store.begin_growing().make_room(200_000)


def test_a_file_that_outgrows_the_budget_is_refused(store: Store) -> None:
    growing = store.begin_growing()
    growing.write(bytes(900_000))
    with pytest.raises(DiskFull):
        growing.write(bytes(200_000))
    growing.discard()
    growing.discard()
    assert store.used_bytes == 0
    assert on_disk(store) == set()


def test_it_begins_anew_without_what_came_before(store: Store) -> None:
    made = made_of(1000)
    growing = store.begin_growing()
    growing.write(bytes(5000))
    growing.restart()
    growing.write(made.content)
    assert store.keep_grown(growing)[0] == made.key


def test_content_that_is_here_already_is_kept_once(store: Store) -> None:
    made = made_of(400_000)
    for _ in range(2):
        growing = store.begin_growing()
        growing.write(made.content)
        assert store.keep_grown(growing)[0] == made.key
    assert store.used_bytes == 400_000


def test_what_has_grown_is_pinned(store: Store) -> None:
    growing = store.begin_growing()
    growing.write(b"data")
    key, _manifest = store.keep_grown(growing)
    assert not store.remove(key)
    store.unpin(key)
    assert store.remove(key)


def test_its_full_room_is_room_enough_to_keep_it(store: Store) -> None:
    made = made_of(1_000_000)
    growing = store.begin_growing()
    growing.make_room(1_000_000)
    growing.write(made.content)
    assert store.keep_grown(growing)[0] == made.key
