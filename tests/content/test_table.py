"""What is given up, by whichever store, is out of reach and told before anybody counts on it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from vine.content.folders import signatures_of
from vine.content.locks import Locks
from vine.content.table import Held, Table
from vine.names import ObjectId

KEYS = [ObjectId(f"{number:064x}"[::-1]) for number in range(100)]


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.locks = Locks(folder / "lock")
        self.table = Table(self.locks)

    def add(self, key: ObjectId, shared: bool = True) -> None:
        path = self.folder / key
        path.write_bytes(b"x")
        self.table.add(key, Held(path, 1, signatures_of(path), None, shared=shared))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_pinned_is_not_taken_but_for_a_fault(bench: Bench) -> None:
    bench.add(KEYS[0])
    bench.table.pin(KEYS[0])
    assert bench.table.take(KEYS[0], even_pinned=False) is None
    assert bench.table.take(KEYS[0], even_pinned=True) is not None
    assert KEYS[0] not in bench.table


def test_what_was_given_up_is_told_once(bench: Bench) -> None:
    for key in KEYS[:2]:
        bench.add(key)
    assert bench.table.give_up(KEYS[0])
    assert not bench.table.give_up(KEYS[0])
    assert (bench.table.take_evicted(), bench.table.take_evicted()) == ((KEYS[0],), ())
    assert list(bench.table) == [KEYS[1]]


def test_what_is_shared_is_locked_from_its_first_pin_to_its_last_unpin(bench: Bench, tmp_path: Path) -> None:
    mate = Locks(tmp_path / "lock")
    for key in KEYS[:2]:  # Before it is here, and after.
        bench.table.pin(key, key)
        bench.add(key)
        assert not mate.take(key)
        bench.table.unpin(key)
        assert not mate.take(key)
        bench.table.unpin(key)
        assert mate.take(key)
        mate.give_back(key)


def test_pinning_what_is_ones_own_costs_no_lock(bench: Bench, tmp_path: Path) -> None:
    bench.add(KEYS[0], shared=False)
    bench.table.pin(KEYS[0])
    assert Locks(tmp_path / "lock").take(KEYS[0])


def test_what_another_store_has_given_up_is_found_out_at_the_pin(bench: Bench, tmp_path: Path) -> None:
    for key in KEYS[:4]:
        bench.add(key)
    gone, other, going, here = KEYS[:4]
    (tmp_path / gone).unlink()
    (tmp_path / other).write_bytes(b"another one that came in its place")
    mate = Locks(tmp_path / "lock")
    assert mate.take(going)
    bench.table.pin(*KEYS[:4])
    assert set(bench.table.take_evicted()) == {gone, other, going}
    assert list(bench.table) == [here]


def test_looking_finds_out_what_is_gone(bench: Bench, tmp_path: Path) -> None:
    for key in KEYS[:3]:
        bench.add(key)
    bench.add(KEYS[3], shared=False)
    (tmp_path / KEYS[0]).unlink()
    assert bench.table.look({KEYS[1]}) == ()  # One of the others has come since that was true.
    assert bench.table.take_evicted() == (KEYS[0],)
    assert list(bench.table) == KEYS[1:4]


def test_what_is_gone_though_it_is_pinned_was_altered(bench: Bench, tmp_path: Path) -> None:
    bench.add(KEYS[0])
    bench.table.pin(KEYS[0])
    (tmp_path / KEYS[0]).unlink()
    assert bench.table.look(set()) == (KEYS[0],)
    assert (bench.table.take_evicted(), KEYS[0] in bench.table) == ((), False)
    bench.add(KEYS[0])  # A good one has come.
    bench.table.unpin(KEYS[0])


def test_whoever_pins_has_heard_of_what_is_gone(bench: Bench, tmp_path: Path) -> None:
    # given another store that gives up one after the other
    for key in KEYS:
        bench.add(key)
    mate = Locks(tmp_path / "lock")

    def give_up() -> None:
        for key in KEYS:
            if mate.take(key):
                (tmp_path / key).unlink()
                mate.give_back(key)

    thread = threading.Thread(target=give_up)
    thread.start()
    # when all are pinned meanwhile, then what is not told as gone by then stays
    gone: set[ObjectId] = set()
    for key in reversed(KEYS):
        bench.table.pin(key)
        gone.update(bench.table.take_evicted())
        assert key in gone or (tmp_path / key).exists()
    thread.join()
    assert set(bench.table) == set(KEYS) - gone == {key for key in KEYS if (tmp_path / key).exists()}


def test_each_use_of_a_shared_object_is_told_once(bench: Bench) -> None:
    bench.add(KEYS[0])
    bench.add(KEYS[1])
    bench.add(KEYS[2], shared=False)
    for key in (KEYS[1], KEYS[0], KEYS[2]):
        bench.table.used(key)
    bench.table.pin(KEYS[1])
    bench.table.unpin(KEYS[1])
    told = bench.table.take_used()
    assert sorted(told, key=lambda key: told[key]) == [KEYS[0], KEYS[1]]
    assert bench.table.take_used() == {}


def test_of_small_ones_those_may_go_that_are_spare_and_not_in_use(bench: Bench) -> None:
    for number, key in enumerate(KEYS[:4]):
        bench.add(key, shared=number == 3)
        bench.table[key].spare = number != 0
    bench.table.pin(KEYS[1])
    assert [one.key for one in bench.table.own_spare()] == [KEYS[2]]
    assert bench.table.give_up_own(KEYS[1]) is None
    assert bench.table.give_up_own(KEYS[2]) is not None
    assert bench.table.take_evicted() == (KEYS[2],)
