"""What is small is one store's own, what is not is everybody's, and what is there already is not there twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.content.objects import Made, made_of, on_disk
from vine import config
from vine.content.entrance import is_small
from vine.content.store import Store
from vine.errors import DiskFull


@pytest.mark.parametrize("size", [0, 1000, config.inline_bytes_max, config.inline_bytes_max + 1, 300_000])
def test_the_size_tells_whose_it_is(size: int, tmp_path: Path) -> None:
    store, mate = Store(tmp_path / "store"), Store(tmp_path / "store")
    made = made_of(size)
    store.put_bytes(made.key, made.content)
    assert mate.find(made.key) != is_small(size)
    assert store.path(made.key).read_bytes() == made.content
    assert store.path(made.key).stat().st_mode & 0o777 == 0o555
    assert not store.altered(made.key)


@pytest.mark.parametrize("size", [600, 600_000])
def test_for_a_second_copy_nothing_is_given_up(size: int, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", capacity_bytes=size + 1)
    made = made_of(size)
    for _ in range(2):
        (tmp_path / "output").write_bytes(made.content)
        store.adopt(tmp_path / "output", pin=True)
        store.rate(made.key, spare=True)
    assert (store.take_evicted(), store.used_bytes) == ((), size)
    store.unpin(made.key)
    assert not store.remove(made.key), "it is pinned as often as it was adopted"


def test_a_small_one_outlives_its_store_by_a_copy_for_which_there_must_be_room(tmp_path: Path) -> None:
    store, mate = Store(tmp_path / "store", 1500), Store(tmp_path / "store", 0)
    made = made_of(1000)
    store.put_bytes(made.key, made.content)
    store.rate(made.key, spare=True, forever=True)
    assert not mate.find(made.key)
    assert store.held() == {made.key: False}
    wider = Store(tmp_path / "store", 1000)
    store.rate(made.key, spare=True, forever=True)
    assert mate.find(made.key)
    assert mate.held() == {made.key: True}
    for one in (store, mate, wider):
        one.leave()
    assert Store(tmp_path / "store").held() == {made.key: True}


@pytest.mark.parametrize("size", [1000, 300_000])
def test_one_object_put_by_many_threads_is_there_for_each(size: int, tmp_path: Path) -> None:
    store, made = Store(tmp_path / "store"), made_of(size)
    missed = []

    def put() -> None:
        store.put_bytes(made.key, made.content)
        if not store.has(made.key):
            missed.append(1)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missed == []
    assert (store.used_bytes, on_disk(store)) == (size, {f"objects/{made.key}"})


def test_what_is_made_again_is_there_though_another_one_gave_it_up_meanwhile(tmp_path: Path) -> None:
    store, mate = Store(tmp_path / "store", 300_000), Store(tmp_path / "store", 0)
    made, other = made_of(300_000), made_of(300_000, 1)
    store.put_bytes(made.key, made.content)
    store.rate(made.key, spare=True)
    # given that it went for room, and this store has not looked
    mate.begin(other.key, other.manifest).discard()
    # when a task makes it again
    (tmp_path / "output").write_bytes(made.content)
    store.adopt(tmp_path / "output", pin=True)
    # then what is known is what lies there now
    assert store.path(made.key).read_bytes() == made.content
    assert not store.altered(made.key)
    assert store.take_evicted() == ()


@pytest.fixture
def small_forever(tmp_path: Path) -> Iterator[tuple[Store, Store, Made]]:
    """Two stores that know the copy that an earlier one left of a small object, and have both called it spare."""
    made = made_of(1000)
    with_it = Store(tmp_path / "store", 200_000)
    with_it.put_bytes(made.key, made.content)
    with_it.rate(made.key, spare=True, forever=True)
    with_it.leave()
    store, mate = Store(tmp_path / "store", 200_000), Store(tmp_path / "store", 0)
    for one in (store, mate):
        one.rate(made.key, spare=True, forever=False)
    (tmp_path / "output").write_bytes(made.content)
    yield store, mate, made


def test_a_small_one_that_is_made_again_stays_where_there_was_a_copy(
    small_forever: tuple[Store, Store, Made], tmp_path: Path
) -> None:
    store, mate, made = small_forever
    store.adopt(tmp_path / "output")
    # when another one needs all the room, then that does not go for it
    other = made_of(199_500, 1)
    with pytest.raises(DiskFull):
        mate.begin(other.key, other.manifest)
    assert store.path(made.key).read_bytes() == made.content


def test_a_small_one_that_is_made_again_is_there_though_its_copy_went_meanwhile(
    small_forever: tuple[Store, Store, Made], tmp_path: Path
) -> None:
    store, mate, made = small_forever
    other = made_of(199_500, 1)
    mate.begin(other.key, other.manifest).discard()
    store.adopt(tmp_path / "output", pin=True)
    assert store.path(made.key).read_bytes() == made.content
    assert store.take_evicted() == ()
