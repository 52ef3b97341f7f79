from __future__ import annotations

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of, some_bytes
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.store import SimulatedStore
from vine.content.manifest import chunk_span, object_id

MANIFEST = manifest_of("object", 300 << 10)
KEY = object_id(MANIFEST)


@pytest.fixture
def store() -> SimulatedStore:
    return SimulatedStore(Machine(Clock(), Speeds()))


def test_an_object_is_here_once_all_its_chunks_are_committed(store: SimulatedStore) -> None:
    partial = store.begin(KEY, MANIFEST)
    for index in range(2):
        partial.write(index, some_bytes(chunk_span(MANIFEST, index)[1]))
    with pytest.raises(KeyError):
        store.chunk_count(KEY)
    partial.commit()
    assert store.chunk_count(KEY) == 2
    assert store.machine.moved == MANIFEST.size


def test_a_chunk_that_has_not_come_cannot_be_read(store: SimulatedStore) -> None:
    partial = store.begin(KEY, MANIFEST)
    partial.write(0, some_bytes(256 << 10))
    assert len(partial.read(0)) == 256 << 10
    with pytest.raises(KeyError):
        partial.read(1)
    partial.discard()
    with pytest.raises(KeyError):
        partial.read(0)


def test_only_what_was_never_read_comes_from_the_disk(store: SimulatedStore) -> None:
    store.put(KEY, MANIFEST, cold=True)
    store.read_chunk(KEY, 0)
    assert store.machine.moved == 256 << 10
    store.remove(KEY)
    store.put(KEY, MANIFEST)
    store.read_chunk(KEY, 0)
    assert store.machine.moved == 256 << 10


def test_a_chunk_is_good_if_it_is_as_long_as_it_should_be_and_to_know_costs_hashing(store: SimulatedStore) -> None:
    assert store.is_good(MANIFEST, 0, some_bytes(256 << 10))
    assert not store.is_good(MANIFEST, 0, b"short")
    assert store.machine.hashed == (256 << 10) + 5


def test_what_is_brought_elsewhere_is_not_served(store: SimulatedStore) -> None:
    partial = store.begin_elsewhere(KEY, MANIFEST)
    for index in range(2):
        partial.write(index, some_bytes(chunk_span(MANIFEST, index)[1]))
    partial.commit()
    with pytest.raises(KeyError):
        store.read_chunk(KEY, 0)
