"""Who joins finds what others have, and the last one who leaves takes the rest along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.content import busy
from tests.content.objects import bytes_on_disk, keep_unpacked, made_of, made_tree, on_disk, receive
from vine.content.ledger import Ledger
from vine.content.manifest import derived_id
from vine.content.partial import Present
from vine.content.store import Store
from vine.errors import DiskFull
from vine.names import ObjectId

LARGE = 300_000


def test_what_one_has_made_received_or_unpacked_is_there_for_all(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "store"), Store(tmp_path / "store")
    file, tree = made_of(LARGE), made_tree(tmp_path / "tree", [LARGE])
    receive(first, file)
    first.adopt(tmp_path / "tree")
    unpacked = derived_id("untar", file.key)
    keep_unpacked(first, unpacked, data=b"data")
    # when another one is to fetch them, then nothing is left to come
    for made in (file, tree):
        there = second.begin(made.key, made.manifest)
        assert isinstance(there, Present)
        assert there.present == frozenset(range(len(made.chunks)))
        assert [bytes(there.read(index)) for index in range(len(made.chunks))] == made.chunks
        there.commit()
        assert bytes(second.read_chunk(made.key, made.manifest, 0)) == made.chunks[0]
    assert second.find(unpacked)
    assert second.manifest(unpacked) is None
    # and it lies there once
    assert on_disk(second) == {f"objects/{key}" for key in (file.key, tree.key, unpacked)}
    # and who comes later knows of all
    assert set(Store(tmp_path / "store").held()) == {file.key, tree.key, unpacked}


def test_what_one_needs_no_more_stays_for_those_who_do(tmp_path: Path) -> None:
    first, second, third = (Store(tmp_path / "store") for _ in range(3))
    made = made_of(LARGE)
    receive(first, made)
    assert second.find(made.key)
    assert first.remove(made.key)
    assert not first.has(made.key)
    assert second.path(made.key).exists()
    third.pin(made.key)
    assert second.remove(made.key)
    assert third.find(made.key), "it is in use"
    third.unpin(made.key)
    assert third.remove(made.key)
    assert on_disk(third) == set()


def test_a_transfer_that_is_given_up_needs_nothing_of_what_is_there(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "store"), Store(tmp_path / "store")
    made = made_of(LARGE)
    receive(first, made)
    second.begin(made.key, made.manifest).discard()
    assert not second.has(made.key)
    first.remove(made.key)
    assert on_disk(first) == set()


def test_an_altered_object_is_kept_from_all_and_a_good_one_can_come(tmp_path: Path) -> None:
    first, second, third = (Store(tmp_path / "store") for _ in range(3))
    made = made_of(LARGE)
    receive(first, made)
    assert second.find(made.key)
    first.path(made.key).chmod(0o755)
    with first.path(made.key).open("r+b") as file:
        file.write(b"altered")
    # when one has not seen it yet, then it does not take it
    assert not third.find(made.key)
    # and who knows it hears that it is gone before it counts on it
    second.pin(made.key)
    assert second.take_evicted() == (made.key,)
    # and who finds it out late does not take the good one away that has come meanwhile
    receive(third, made)
    first.quarantine(made.key)
    assert third.path(made.key).read_bytes() == made.content
    assert first.find(made.key)


def test_files_are_served_by_maps_while_nobodys_tasks_can_write_to_them(tmp_path: Path) -> None:
    store, made = Store(tmp_path / "store"), made_of(LARGE)
    receive(store, made)

    def is_mapped() -> bool:
        chunk = store.read_chunk(made.key, made.manifest, 0)
        assert bytes(chunk) == made.chunks[0]
        return isinstance(chunk, memoryview)

    assert not is_mapped()
    store.call_harmless()
    assert is_mapped()
    mate = Store(tmp_path / "store")
    store.look()
    assert not is_mapped()
    mate.call_harmless()
    store.look()
    assert is_mapped()


def test_what_was_unpacked_is_looked_at_again_only_where_somebody_may_have_written_to_it(tmp_path: Path) -> None:
    first, *others = (Store(tmp_path / "store") for _ in range(5))
    for store in (first, *others):
        store.call_harmless()
    early, late, good = (derived_id("untar", made_of(size).key) for size in (1, 2, 3))
    for key in (early, late, good):
        keep_unpacked(first, key, data=b"data")

    def alter(key: ObjectId) -> None:
        (first.path(key) / "data").chmod(0o644)

    # when no member's tasks can write to it, then who finds it sees that it is there, and looks no closer
    alter(early)
    assert others[0].find(early)
    # when those of one can
    writer = Store(tmp_path / "store")
    assert not others[1].find(early)
    # when they could, until it ended
    alter(late)
    writer.leave()
    assert not others[2].find(late)
    # then what one has looked at is sure again
    assert others[2].find(good)
    alter(good)
    assert others[3].find(good)


def test_the_last_one_leaves_what_is_kept_for_ever_and_others_leave_all(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "store"), Store(tmp_path / "store")
    forever, other = made_of(LARGE), made_of(LARGE, 1)
    for made in (forever, other):
        receive(first, made)
    first.rate(forever.key, spare=True, forever=True)
    assert first.leave()
    assert on_disk(second) == {f"objects/{forever.key}", f"objects/{other.key}"}
    assert second.leave()
    assert on_disk(second) == {f"objects/{forever.key}"}
    third = Store(tmp_path / "store")
    assert third.held() == {forever.key: True}
    third.rate(forever.key, spare=True, forever=False)
    assert not third.leave()
    assert os.listdir(tmp_path) == []


def test_one_that_ends_leaves_nothing_that_only_it_could_use(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "store"), Store(tmp_path / "store")
    small, large = made_of(1000), made_of(LARGE)
    first.put_bytes(made_of(10).key, made_of(10).content)
    first.begin(small.key, small.manifest)
    for store in (second, first):  # The second one's place is the one from which others can go on.
        store.begin(large.key, large.manifest)
    assert first.leave()
    assert on_disk(second) == {f"partial/{large.key}"}
    assert second.used_bytes == bytes_on_disk(second) == LARGE


def test_a_refused_one_leaves_all_and_even_what_is_coming(tmp_path: Path) -> None:
    first = Store(tmp_path / "store")
    kept, coming = made_of(LARGE), made_of(LARGE, 1)
    receive(first, kept)
    first.begin(coming.key, coming.manifest).write(1, coming.chunks[1])
    first.abandon()
    assert Store(tmp_path / "store").leave(keep_all=True)
    third = Store(tmp_path / "store")
    assert third.held() == {kept.key: False}
    assert third.begin(coming.key, coming.manifest).present == {1}


@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite-wal"])
def test_without_a_ledger_that_can_be_read_the_store_begins_anew(name: str, tmp_path: Path) -> None:
    first = Store(tmp_path / "store")
    receive(first, made_of(LARGE))
    first.abandon()
    (tmp_path / "store" / name).write_bytes(b"no database" * 1000)
    second = Store(tmp_path / "store")
    assert set(second.held()) <= {made_of(LARGE).key}
    receive(second, made_of(LARGE))
    assert second.path(made_of(LARGE).key).read_bytes() == made_of(LARGE).content


def test_what_one_had_begun_to_remove_as_it_was_killed_goes(tmp_path: Path) -> None:
    (tmp_path / "store.abc.going" / "objects").mkdir(parents=True)
    (tmp_path / "store.abc.going" / "store.lock").touch()
    Store(tmp_path / "store").leave()
    assert os.listdir(tmp_path) == []


def test_processes_that_are_killed_at_any_moment_leave_nothing_in_the_way_of_others(tmp_path: Path) -> None:
    # given processes that use one folder, of which one after the other is killed and another takes its place
    root = tmp_path / "store"

    def start(seed: int) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-m", "tests.content.busy", str(root), str(seed)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])

    processes = [start(seed) for seed in range(3)]
    for seed in range(3, 12):
        for process in processes:  # Each goes on, whatever the others were doing when they were killed.
            assert process.stdout is not None
            for _ in range(20 + seed):
                assert process.stdout.readline() == "turn\n", "it has failed"
        oldest = processes.pop(0)
        with oldest:
            oldest.kill()
        processes.append(start(seed))
    for process in processes:
        with process:
            process.kill()
    # then what is left is whole, within the budget, and given up for what comes
    store = Store(root, busy.CAPACITY)
    for key in store.held():
        assert not store.altered(key)
    assert store.used_bytes == bytes_on_disk(store) <= busy.CAPACITY
    for key in store.held():
        store.rate(key, spare=True)
    receive(store, made_of(busy.CAPACITY, 99))
    assert store.used_bytes == bytes_on_disk(store) == busy.CAPACITY
    assert not store.leave()
    assert not root.exists()


def test_what_one_is_to_keep_stays_though_others_brought_it_and_call_it_spare(tmp_path: Path) -> None:
    first = Store(tmp_path / "store", LARGE)
    made, other = made_of(LARGE), made_of(LARGE, 1)
    receive(first, made)
    # given another one that has found it when it came
    keeper = Store(tmp_path / "store", 0)
    assert keeper.has(made.key)
    # when it is told to keep it
    keeper.rate(made.key, spare=False)
    first.rate(made.key, spare=True)
    # then nobody gives it up for room
    with pytest.raises(DiskFull):
        first.begin(other.key, other.manifest)
    assert first.remove(made.key)
    assert keeper.path(made.key).exists()


def test_what_could_not_be_removed_in_use_is_still_what_it_was_said_to_be(tmp_path: Path) -> None:
    store, made, other = Store(tmp_path / "store", LARGE), made_of(LARGE), made_of(LARGE, 1)
    receive(store, made)
    store.pin(made.key)
    assert not store.remove(made.key)
    store.unpin(made.key)
    with pytest.raises(DiskFull):
        store.begin(other.key, other.manifest)
    assert store.has(made.key)


def test_what_one_was_killed_taking_out_is_removed_by_who_needs_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, store = Store(tmp_path / "store", LARGE), Store(tmp_path / "store", LARGE)
    made, other = made_of(LARGE), made_of(2 * LARGE, 1)
    receive(killed, made)
    killed.rate(made.key, spare=True)

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    # given one that dies between moving the object away and saying so
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            killed.begin(other.key, other.manifest)
    killed.abandon()
    assert [path.split("/")[0] for path in on_disk(store)] == ["quarantine"]
    # when others need its room, then they have it
    wide = Store(tmp_path / "store", LARGE)
    receive(wide, other)
    assert on_disk(store) == {f"objects/{other.key}"}


@pytest.mark.parametrize("mates", [0, 1])
def test_nothing_is_left_of_one_that_was_killed_while_it_joined(mates: int, tmp_path: Path) -> None:
    stores = [Store(tmp_path / "store") for _ in range(mates)]
    (tmp_path / "store" / "objects" / "own-killed").mkdir(parents=True)
    (tmp_path / "store" / "members").mkdir(exist_ok=True)
    for name in ("members/killed", "store.lock"):
        (tmp_path / "store" / name).touch()
    stores.append(Store(tmp_path / "store"))
    for folder in ("members", "objects"):
        assert len(os.listdir(tmp_path / "store" / folder)) == len(stores)


def test_what_there_is_and_fits_is_told_while_another_one_is_stopped_in_a_change(tmp_path: Path) -> None:
    store, mate = Store(tmp_path / "store", LARGE), Store(tmp_path / "store", LARGE)
    made = made_of(LARGE)
    receive(store, made)
    store._ledger._database.execute("PRAGMA busy_timeout = 0")
    with mate._ledger.writing():
        assert (store.used_bytes, store.free_bytes(), store.look()) == (LARGE, LARGE, ())
