"""Are stored objects and waiting results served alike, and kept apart on disk?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.content.store import Store
from vine.names import ObjectId
from vine.wire.parts import InlineObject
from vine_worker.holdings import Holdings

WRONG = ObjectId("0" * 64)


@pytest.fixture
def holdings(tmp_path: Path) -> Iterator[Holdings]:
    store = Store(tmp_path / "store", 1_000_000)
    yield Holdings(store)
    store.leave()


def test_a_small_object_is_kept_and_served(holdings: Holdings) -> None:
    key = object_id(manifest_of_bytes(b"hello"))
    assert holdings.keep(InlineObject(key, b"hello")).message == ""
    assert holdings.chunk_count(key) == 1
    assert bytes(holdings.read_chunk(key, 0)) == b"hello"
    assert holdings.path(key).read_bytes() == b"hello"


def test_bytes_that_are_not_the_object_are_refused(holdings: Holdings) -> None:
    assert holdings.keep(InlineObject(WRONG, b"hello")).message
    with pytest.raises(KeyError):
        holdings.chunk_count(WRONG)


def test_an_object_larger_than_the_budget_is_a_full_disk(holdings: Holdings) -> None:
    data = bytes(1_000_001)
    kept = holdings.keep(InlineObject(object_id(manifest_of_bytes(data)), data))
    assert kept.disk_full


def test_a_posted_result_is_served_from_outside_the_store_until_it_is_removed(
    holdings: Holdings, tmp_path: Path
) -> None:
    path = tmp_path / "value"
    path.write_bytes(b"a long result")
    key, _manifest = holdings.post(path)
    assert bytes(holdings.read_chunk(key, 0)) == b"a long result"
    assert not holdings.store.has(key)
    holdings.remove(key)
    assert not path.exists()
    with pytest.raises(KeyError):
        holdings.read_chunk(key, 0)


def test_two_equal_results_are_one_object(holdings: Holdings, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.write_bytes(b"same")
    assert holdings.post(first)[0] == holdings.post(second)[0]
    assert [path.exists() for path in (first, second)] == [False, True]


def test_an_output_goes_into_the_store(holdings: Holdings, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"made")
    key, manifest = holdings.adopt(path)
    assert key == object_id(manifest)
    assert not path.exists()
    assert holdings.path(key).read_bytes() == b"made"


def test_what_has_come_again_before_its_loss_was_told_is_served(holdings: Holdings) -> None:
    item = InlineObject(object_id(manifest_of_bytes(b"hello")), b"hello")
    holdings.keep(item)
    holdings.store.rate(item.object_id, spare=True)
    # given that all the room is needed for something else, which then does not come
    manifest = manifest_of_bytes(bytes(1_000_000))
    holdings.store.begin(object_id(manifest), manifest).discard()
    # when it comes again, and only then the loop hears that it had gone
    holdings.keep(item)
    for key in holdings.store.take_evicted():
        assert key == item.object_id
        holdings.evicted(key)
    assert bytes(holdings.read_chunk(item.object_id, 0)) == b"hello"
