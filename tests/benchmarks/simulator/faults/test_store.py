"""A store where room is scarce and disks forget."""

from __future__ import annotations

import random

import pytest

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of, some_bytes
from benchmarks.simulator.faults.store import FaultyStore, damaged
from benchmarks.simulator.faults.weather import Rates, Weather
from benchmarks.simulator.machine import Machine, Speeds
from vine.content.manifest import chunk_count, object_id
from vine.errors import DiskFull

OLD, NEW = manifest_of("old", 1000), manifest_of("new", 1000)
OLD_KEY, NEW_KEY = object_id(OLD), object_id(NEW)


def a_store(capacity: int = 1500, **rates: float) -> FaultyStore:
    clock = Clock()
    store = FaultyStore(Machine(clock, Speeds()), Weather(clock, random.Random(1), Rates(**rates)), capacity)
    store.put(OLD_KEY, OLD)
    return store


def test_what_may_go_goes_for_what_comes_and_that_is_told() -> None:
    store = a_store()
    store.rate((OLD_KEY,), spare=True, forever=False)
    store.begin(NEW_KEY, NEW)
    assert store.evicted == [OLD_KEY] and OLD_KEY not in store.manifests


@pytest.mark.parametrize("why", ["pinned", "not spare"])
def test_what_may_not_go_is_kept_and_the_disk_is_full(why: str) -> None:
    store = a_store()
    store.rate((OLD_KEY,), spare=why == "pinned", forever=False)
    store.pins[OLD_KEY] += why == "pinned"
    with pytest.raises(DiskFull):
        store.begin(NEW_KEY, NEW)
    assert OLD_KEY in store.manifests


def test_room_is_reserved_until_what_comes_is_there_or_given_up() -> None:
    store = a_store(5000)
    store.begin(NEW_KEY, NEW).discard()
    assert store.used_bytes() == 1000
    partial = store.begin(NEW_KEY, NEW)
    assert store.used_bytes() == 2000
    partial.write(0, some_bytes(1000))
    partial.commit()
    assert store.used_bytes() == 2000 and NEW_KEY in store.manifests


def test_damaged_bytes_are_known_and_may_not_be_committed() -> None:
    store = a_store(5000)
    assert store.is_good(NEW, 0, some_bytes(1000)) and not store.is_good(NEW, 0, damaged(1000))
    partial = store.begin(NEW_KEY, NEW)
    partial.write(0, damaged(1000))
    with pytest.raises(AssertionError, match="not its own"):
        partial.commit()


def test_an_object_that_rots_is_read_with_other_bytes() -> None:
    store = a_store()
    assert store.rot() == OLD_KEY and not store.is_good(OLD, 0, store.read_chunk(OLD_KEY, 0))


def test_others_may_fill_the_disk() -> None:
    with pytest.raises(DiskFull):
        a_store(1 << 30, disk_full_share=1.0).begin(NEW_KEY, NEW)


def two_mates() -> tuple[FaultyStore, FaultyStore]:
    one, other = a_store(), a_store()
    one.remove(OLD_KEY)
    one.mates, other.mates = lambda: [other], lambda: [one]
    return one, other


def test_what_a_mate_has_is_here_at_once_unless_it_goes_meanwhile() -> None:
    store, mate = two_mates()
    coming, in_vain = store.begin(OLD_KEY, OLD), store.begin(OLD_KEY, OLD)
    assert len(coming.present) == chunk_count(OLD) and bytes(coming.read(0)) == bytes(some_bytes(1000))
    coming.commit()
    assert store.manifests == {OLD_KEY: OLD}
    mate.remove(OLD_KEY)
    with pytest.raises(FileNotFoundError):
        in_vain.commit()


def test_what_a_body_writes_into_is_spoilt_for_its_host_and_out_of_all_reach_once_that_is_seen() -> None:
    store, mate = two_mates()
    store.begin(OLD_KEY, OLD).commit()
    gone: list[str] = []
    mate.on_quarantined = gone.append
    store.alter(OLD_KEY)
    assert bytes(mate.read_chunk(OLD_KEY, 0)) != bytes(some_bytes(1000))
    store.quarantine(OLD_KEY)
    assert not store.manifests and not mate.manifests and gone == [OLD_KEY]
