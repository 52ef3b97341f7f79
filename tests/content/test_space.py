"""Room is reserved before it is used, and what a killed store had of it is given back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.content.objects import bytes_on_disk, contents_of, made_of, on_disk, receive
from vine import config
from vine.content.manifest import derived_id
from vine.content.store import Store
from vine.errors import DiskFull

LARGE = 300_000
TREE = derived_id("untar", made_of(1).key)


def both(tmp_path: Path, capacity_bytes: int | None = 400_000) -> tuple[Store, Store]:
    return Store(tmp_path / "store", capacity_bytes), Store(tmp_path / "store", capacity_bytes)


def test_stores_of_one_folder_may_have_together_what_each_was_given(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    for seed in range(2):
        receive(first, made_of(LARGE, seed))
    assert (first.used_bytes, second.free_bytes()) == (2 * LARGE, 200_000)
    with pytest.raises(DiskFull, match="200000 of 300000 bytes"):
        receive(second, made_of(LARGE, 2))


def test_what_goes_for_room_was_used_longest_ago_by_any_of_them(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    older, newer, wanted = (made_of(LARGE, seed) for seed in range(3))
    receive(first, older)
    receive(second, newer)
    for store, made in ((first, older), (second, newer)):
        store.rate(made.key, spare=True)
    first.read_chunk(older.key, older.manifest, 0)
    first.look()  # It tells that now and then.
    receive(second, wanted)
    assert second.take_evicted() == (newer.key,)
    assert first.has(older.key)


def test_what_one_store_has_given_up_another_hears_of_when_it_looks(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    made = made_of(LARGE)
    receive(first, made)
    assert second.find(made.key)
    first.rate(made.key, spare=True)
    second.rate(made.key, spare=True)
    for seed in (1, 2):
        receive(second, made_of(LARGE, seed))
    assert second.take_evicted() == (made.key,)
    assert first.take_evicted() == ()
    first.look()
    assert first.take_evicted() == (made.key,)
    assert not first.has(made.key)


def test_what_one_store_has_pinned_no_other_gives_up(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    made = made_of(LARGE)
    receive(first, made)
    first.rate(made.key, spare=True)
    first.pin(made.key)
    receive(second, made_of(LARGE, 1))
    with pytest.raises(DiskFull):
        receive(second, made_of(LARGE, 2))
    first.unpin(made.key)
    receive(second, made_of(LARGE, 2))


def test_what_a_killed_store_had_pinned_rated_and_reserved_is_free(tmp_path: Path) -> None:
    # given one that dies while it keeps, uses, receives and unpacks something
    first, second = both(tmp_path)
    kept = made_of(100_000)
    receive(first, kept)
    first.pin(kept.key)
    coming = made_of(LARGE, 1)
    first.begin(coming.key, coming.manifest).write(1, coming.chunks[1])
    (first.begin_tree(TREE) / "half").write_bytes(bytes(50_000))
    receive(first, made_of(10))
    first.abandon()
    # when another needs all the room that there is now
    receive(second, made_of(400_000, 2))
    # then nothing of the dead one is in its way
    assert second.used_bytes == bytes_on_disk(second) == 400_000
    assert os.listdir(tmp_path / "store" / "members") == [second._ground.member]


def test_what_a_killed_store_had_received_is_resumed_and_what_it_had_unpacked_is_not(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    coming = made_of(LARGE)
    first.begin(coming.key, coming.manifest).write(1, coming.chunks[1])
    (first.begin_tree(TREE) / "half").write_bytes(b"x")
    first.abandon()
    assert second.begin(coming.key, coming.manifest).present == {1}
    assert not second.find(TREE)
    assert os.listdir(second.begin_tree(TREE)) == []


def test_two_stores_that_bring_one_object_do_not_write_into_each_others_file(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    made = made_of(LARGE)
    one, other = (store.begin(made.key, made.manifest) for store in (first, second))
    other.write(0, made.chunks[0])
    made.feed(one)  # type: ignore[arg-type] # nobody had it yet
    one.commit()
    made.feed(other)  # type: ignore[arg-type]
    other.commit()
    assert first.path(made.key) == second.path(made.key)
    assert second.path(made.key).read_bytes() == made.content
    assert (second.used_bytes, on_disk(second)) == (LARGE, {f"objects/{made.key}"})


def test_two_stores_that_unpack_one_archive_have_it_once(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    trees = [(store, store.begin_tree(TREE)) for store in (second, first)]
    for store, folder in trees:
        (folder / "data").write_bytes(b"data")
        store.commit_tree(TREE, contents_of(folder))
    assert first.path(TREE) == second.path(TREE)
    assert (first.used_bytes, on_disk(first)) == (4, {f"objects/{TREE}"})


def test_small_objects_are_each_stores_own(tmp_path: Path) -> None:
    first, second = both(tmp_path)
    made = made_of(1000)
    for store in (first, second):
        assert not store.find(made.key)
        store.put_bytes(made.key, made.content)
    assert first.path(made.key) != second.path(made.key)
    assert first.used_bytes == 2000
    first.remove(made.key)
    assert second.path(made.key).read_bytes() == made.content


def test_room_for_small_objects_is_reserved_ahead_while_there_is_much_and_given_back_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "own_room_bytes", 100_000)
    monkeypatch.setattr(config, "own_room_free_bytes", 500_000)
    store = Store(tmp_path / "store", 600_000)
    mate = Store(tmp_path / "store", 0)
    store.put_bytes(made_of(1000).key, made_of(1000).content)
    assert (store.used_bytes, mate.used_bytes) == (1000, 100_000)
    receive(store, made_of(599_000))
    assert store.used_bytes == mate.used_bytes == 600_000
    with pytest.raises(DiskFull):
        store.put_bytes(made_of(2).key, made_of(2).content)


def test_an_object_without_an_entry_is_nobodys(tmp_path: Path) -> None:
    """As one leaves it that is killed between putting it into its place and entering it."""
    first, second = both(tmp_path)
    made = made_of(LARGE)
    for name in (made.key, made_of(LARGE, 1).key):
        (first.objects / name).write_bytes(b"not verified")
    first.abandon()
    assert not second.find(made.key)
    receive(second, made)
    assert second.path(made.key).read_bytes() == made.content
    receive(second, made_of(100_000, 2))
    assert len(on_disk(second)) == 2


def test_an_entry_without_its_object_is_found_out(tmp_path: Path) -> None:
    """As one leaves it that is killed while it gives the object up."""
    first, second = both(tmp_path)
    made = made_of(LARGE)
    receive(first, made)
    assert second.find(made.key)
    (first.objects / made.key).unlink()
    first.abandon()
    second.pin(made.key)
    assert second.take_evicted() == (made.key,)
    receive(second, made)
    assert second.path(made.key).read_bytes() == made.content


def test_room_that_a_store_no_more_needs_for_small_objects_is_there_for_others(tmp_path: Path) -> None:
    first, second = both(tmp_path, 100_000)
    made = made_of(60_000)
    first.begin(made.key, made.manifest).discard()
    first.put_bytes(made.key, made.content)
    first.remove(made.key)
    receive(second, made_of(200_000, 1))
