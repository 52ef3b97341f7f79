"""The store keeps what was verified, tells what was altered, and gives room back."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.content.objects import contents_of, keep_unpacked, made_of, made_tree, on_disk, receive
from vine.content.hashing import manifest_of_tree
from vine.content.manifest import derived_id, object_id
from vine.content.store import Store
from vine.errors import DiskFull, FileMissing, MalformedMessage, UsageError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


@pytest.mark.parametrize("mapped", [False, True])
def test_what_was_received_is_kept_and_served(store: Store, mapped: bool) -> None:
    made = made_of(600_000)
    receive(store, made)
    if mapped:
        store.call_harmless()
    assert store.has(made.key)
    assert store.path(made.key).read_bytes() == made.content
    assert [bytes(store.read_chunk(made.key, made.manifest, index)) for index in range(3)] == made.chunks
    assert not store.altered(made.key) and store.verify(made.key)
    assert on_disk(store) == {f"objects/{made.key}"}
    assert store.used_bytes == 600_000


def test_a_tree_that_was_received_is_the_tree_that_was_sent(store: Store, tmp_path: Path) -> None:
    made = made_tree(tmp_path / "tree", [10, 300_000, 0, 5])
    receive(store, made)
    assert object_id(manifest_of_tree(store.path(made.key))) == made.key
    assert b"".join(store.read_chunk(made.key, made.manifest, index) for index in range(2)) == made.content
    assert not store.altered(made.key) and store.verify(made.key)


def test_an_arriving_object_serves_the_chunks_that_it_has(store: Store) -> None:
    made = made_of(600_000)
    partial = store.begin(made.key, made.manifest)
    partial.write(1, made.chunks[1])
    assert store.read_chunk(made.key, made.manifest, 1) == made.chunks[1]
    with pytest.raises(KeyError):
        store.read_chunk(made.key, made.manifest, 0)
    assert not store.has(made.key)
    with pytest.raises(KeyError):
        store.path(made.key)


def test_a_chunk_can_be_read_at_every_moment_of_the_commit(store: Store, tmp_path: Path) -> None:
    # given readers of an arriving tree
    made = made_tree(tmp_path / "tree", [300_000, 5])
    partial = store.begin(made.key, made.manifest)
    made.feed(partial)
    wrong: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                assert store.read_chunk(made.key, made.manifest, 0) == made.chunks[0]
            except (AssertionError, KeyError, OSError) as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    # when it is committed, then none of them misses it
    partial.commit()
    done.set()
    reader.join()
    assert wrong == []


def test_two_transfers_of_one_object_share_its_partial(store: Store) -> None:
    made = made_of(10)
    assert store.begin(made.key, made.manifest) is store.begin(made.key, made.manifest)
    assert store.used_bytes == 10


def test_a_broken_transfer_is_resumed_with_what_it_had(store: Store) -> None:
    made = made_of(600_000)
    first = store.begin(made.key, made.manifest)
    first.write(0, made.chunks[0])
    first.write(2, bytes(len(made.chunks[2])))
    first.release()
    second = store.begin(made.key, made.manifest)
    assert second.present == {0}
    made.feed(second)
    second.commit()
    assert store.path(made.key).read_bytes() == made.content
    assert store.used_bytes == 600_000


def test_a_discarded_object_leaves_nothing(store: Store) -> None:
    made = made_of(600_000)
    store.begin(made.key, made.manifest).discard()
    assert (store.used_bytes, on_disk(store)) == (0, set())


def test_a_manifest_of_another_object_is_refused(store: Store) -> None:
    with pytest.raises(MalformedMessage, match="not that of"):
        store.begin(made_of(11).key, made_of(10).manifest)
    assert store.used_bytes == 0


def test_small_objects_are_put_whole_and_checked(store: Store) -> None:
    for made in (made_of(0), made_of(1000), made_of(300_000)):
        store.put_bytes(made.key, made.content)
        store.put_bytes(made.key, made.content)
        assert store.path(made.key).read_bytes() == made.content
    with pytest.raises(MalformedMessage, match="are not object"):
        store.put_bytes(made_of(5).key, b"other")


def test_outputs_are_taken_from_where_they_were_made(store: Store, tmp_path: Path) -> None:
    made = made_tree(tmp_path / "output", [10, 300_000])
    (tmp_path / "file").write_bytes(b"result")
    key, manifest = store.adopt(tmp_path / "output")
    file_key, _ = store.adopt(tmp_path / "file")
    assert (key, manifest) == (made.key, made.manifest)
    assert store.path(file_key).read_bytes() == b"result"
    assert os.listdir(tmp_path) == ["workspace"]
    assert not store.altered(key) and store.verify(key)
    assert store.used_bytes == made.manifest.size + 6


def test_equal_outputs_are_one_object(store: Store, tmp_path: Path) -> None:
    keys = set()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"same")
        keys.add(store.adopt(tmp_path / name)[0])
    assert len(keys) == 1
    assert (store.used_bytes, on_disk(store)) == (4, {f"objects/{keys.pop()}"})


def test_an_output_that_was_not_made_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="result does not exist"):
        store.adopt(tmp_path / "result")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(FileMissing, match="dangling does not exist"):
        store.adopt(tmp_path / "dangling")


def test_an_output_that_cannot_be_an_object_leaves_nothing_in_the_store(store: Store, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "escape").symlink_to("/etc")
    with pytest.raises(UsageError, match="leads out"):
        store.adopt(tmp_path / "output")
    assert (store.used_bytes, on_disk(store)) == (0, set())


def test_an_unpacked_archive_is_an_object_without_chunks(store: Store) -> None:
    source = made_of(100)
    key = derived_id("untar", source.key)
    folder = store.begin_tree(key)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_bytes(b"#!")
    os.utime(folder / "bin" / "python", (7, 7))
    assert not store.has(key)
    store.commit_tree(key, contents_of(folder))
    assert store.used_bytes == 2
    assert (store.path(key) / "bin" / "python").stat().st_mtime == 7
    assert not store.altered(key) and store.verify(key)
    with pytest.raises(KeyError):
        store.read_chunk(key, source.manifest, 0)
    assert store.remove(key)
    assert (store.used_bytes, on_disk(store)) == (0, set())


def test_an_archive_that_could_not_be_unpacked_leaves_nothing(store: Store) -> None:
    key = derived_id("untar", made_of(1).key)
    (store.begin_tree(key) / "half").write_bytes(b"x")
    store.discard_tree(key)
    assert (store.used_bytes, on_disk(store)) == (0, set())
    (store.begin_tree(key) / "again").write_bytes(b"x")
    assert os.listdir(store.begin_tree(key)) == []


def test_what_exceeds_the_budget_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "workspace", capacity_bytes=1000)
    made = made_of(1001)
    with pytest.raises(DiskFull, match="1000 of 1001 bytes"):
        store.begin(made.key, made.manifest)
    (tmp_path / "output").write_bytes(bytes(1001))
    with pytest.raises(DiskFull):
        store.adopt(tmp_path / "output")
    key = derived_id("untar", made.key)
    with pytest.raises(DiskFull):
        keep_unpacked(store, key, large=bytes(1001))
    assert (store.used_bytes, on_disk(store)) == (0, set())


def test_altered_and_broken_objects_go_before_new_ones_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "workspace", capacity_bytes=1_000_000)
    altered, broken, wanted = made_of(400_000, 1), made_of(400_000, 2), made_of(900_000, 3)
    receive(store, altered)
    store.quarantine(altered.key)
    store.begin(broken.key, broken.manifest).release()
    assert store.used_bytes == 800_000
    receive(store, wanted)
    assert (store.used_bytes, on_disk(store)) == (900_000, {f"objects/{wanted.key}"})


def test_an_altered_object_is_seen_and_kept_from_others(store: Store, tmp_path: Path) -> None:
    # given an object and a tree, and a task that writes to both (as root may, whatever the modes)
    made, tree = made_of(1000), made_tree(tmp_path / "tree", [10])
    for one in (made, tree):
        receive(store, one)
    store.pin(made.key)
    for path in (store.path(made.key), store.path(tree.key) / "sub" / "000"):
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.write(b"altered")
    # when they are checked, then both show, and are out of reach at once
    for one in (made, tree):
        assert store.altered(one.key) and not store.verify(one.key)
        store.quarantine(one.key)
        assert not store.has(one.key)
        with pytest.raises(KeyError):
            store.read_chunk(one.key, one.manifest, 0)
    # and a good copy can come while the old one's task still ends
    receive(store, made)
    store.unpin(made.key)
    assert store.path(made.key).read_bytes() == made.content


def test_an_object_whose_file_is_gone_is_altered(store: Store) -> None:
    made = made_of(10)
    receive(store, made)
    store.path(made.key).unlink()
    assert store.altered(made.key) and not store.verify(made.key)


def test_what_is_pinned_stays_until_unpinned_as_often(store: Store) -> None:
    made = made_of(10)
    receive(store, made)
    store.pin(made.key)
    store.pin(made.key)
    assert not store.remove(made.key)
    store.unpin(made.key)
    assert not store.remove(made.key)
    store.unpin(made.key)
    assert store.remove(made.key)
    assert not store.remove(made.key)
    assert (store.used_bytes, on_disk(store)) == (0, set())


def test_removing_drops_what_a_broken_transfer_left(store: Store) -> None:
    made = made_of(10)
    store.begin(made.key, made.manifest).release()
    store.remove(made.key)
    assert (store.used_bytes, on_disk(store)) == (0, set())


def test_views_that_are_being_sent_outlive_their_object(store: Store) -> None:
    made = made_of(1000)
    receive(store, made)
    store.call_harmless()
    view = store.read_chunk(made.key, made.manifest, 0)
    store.remove(made.key)
    assert bytes(view) == made.content


def test_a_store_that_ends_in_order_leaves_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "workspace")
    receive(store, made_tree(tmp_path / "tree", [10, 300_000]))
    receive(store, made_of(10))
    store.begin(made_of(5).key, made_of(5).manifest)
    store.begin_tree(derived_id("untar", made_of(5).key))
    store.pin(made_of(10).key)
    assert not store.leave()
    assert os.listdir(tmp_path) == ["tree"]
    assert Store(tmp_path / "workspace").held() == {}


# --- room ---


@pytest.mark.parametrize("unit", [1, 1000])  # What is this store's own, and what all share.
def test_what_is_spare_goes_least_recently_used_first_and_no_more_than_needed(tmp_path: Path, unit: int) -> None:
    store = Store(tmp_path / "workspace", capacity_bytes=1000 * unit)
    first, second, third = (made_of(300 * unit, seed) for seed in range(3))
    woken = []
    store.on_evicted = lambda: woken.append(1)
    for made in (first, second, third):
        receive(store, made)
        store.rate(made.key, spare=True)
    store.read_chunk(first.key, first.manifest, 0)
    receive(store, made_of(400 * unit, 9))
    assert store.take_evicted() == (second.key,)
    assert store.take_evicted() == ()
    assert (store.used_bytes, store.has(first.key), woken) == (1000 * unit, True, [1])
    assert f"objects/{second.key}" not in on_disk(store)


@pytest.mark.parametrize("unit", [1, 1000])  # What is this store's own, and what all share.
def test_what_is_pinned_or_not_called_spare_stays_and_the_new_object_is_refused(tmp_path: Path, unit: int) -> None:
    store = Store(tmp_path / "workspace", capacity_bytes=1000 * unit)
    pinned, only_copy, small = made_of(400 * unit, 1), made_of(400 * unit, 2), made_of(100 * unit, 3)
    store.pin(pinned.key)  # Before it is here.
    for made in (pinned, only_copy, small):
        receive(store, made)
        store.rate(made.key, spare=made is not only_copy)
    wanted = made_of(300 * unit, 4)
    with pytest.raises(DiskFull, match=f"{100 * unit} of {300 * unit} bytes"):
        store.begin(wanted.key, wanted.manifest)
    assert store.has(small.key), "what would not have been enough was given up in vain"
    assert store.room_bytes() == 200 * unit
    store.unpin(pinned.key)
    receive(store, wanted)
    assert store.has(only_copy.key)


@pytest.mark.parametrize("unit", [1, 1000])  # What is this store's own, and what all share.
def test_what_was_made_again_here_may_not_go_before_its_owner_has_heard_of_it(tmp_path: Path, unit: int) -> None:
    store = Store(tmp_path / "workspace", capacity_bytes=1000 * unit)
    made, wanted = made_of(600 * unit), made_of(600 * unit, 1)
    receive(store, made)
    store.rate(made.key, spare=True)
    (tmp_path / "output").write_bytes(made.content)
    store.adopt(tmp_path / "output")
    with pytest.raises(DiskFull):
        store.begin(wanted.key, wanted.manifest)
    store.rate(made.key, spare=True)
    receive(store, wanted)
    assert store.take_evicted() == (made.key,)


# --- a store is opened again ---

LARGE = 300_000  # Above what comes inline, and so worth finding again.


def reopened(store: Store, capacity_bytes: int | None = None) -> Store:
    store.abandon()
    return Store(store.root, capacity_bytes)


def test_what_a_worker_that_died_had_verified_is_found_again(store: Store, tmp_path: Path) -> None:
    file, tree, small = made_of(LARGE), made_tree(tmp_path / "tree", [LARGE, 5]), made_of(10)
    for made in (file, tree, small):
        receive(store, made)
    unpacked = derived_id("untar", file.key)
    keep_unpacked(store, unpacked, data=bytes(LARGE))
    store.rate(tree.key, spare=False, forever=True)
    size = store.used_bytes
    store = reopened(store)
    assert store.held() == {file.key: False, tree.key: True, unpacked: False}
    assert store.used_bytes == size - 10
    assert store.manifest(tree.key) == tree.manifest
    assert store.manifest(unpacked) is None
    assert bytes(store.read_chunk(tree.key, tree.manifest, 0)) == tree.chunks[0]
    assert not any(store.altered(key) for key in store.held())


def test_what_was_altered_since_is_not_taken_for_what_was_verified(store: Store, tmp_path: Path) -> None:
    file, tree = made_of(LARGE), made_tree(tmp_path / "tree", [LARGE])
    for made in (file, tree):
        receive(store, made)
    store.path(file.key).chmod(0o644)
    with store.path(file.key).open("r+b") as opened:
        opened.write(b"altered")
    store.path(tree.key).chmod(0o755)
    (store.path(tree.key) / "added").touch()
    store = reopened(store)
    assert (store.held(), store.used_bytes, on_disk(store)) == ({}, 0, set())


def test_after_a_restart_of_the_machine_every_byte_is_hashed_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, tree = made_of(LARGE), made_of(LARGE, 1), made_tree(tmp_path / "tree", [LARGE])
    for made in (good, bad, tree):
        receive(store, made)
    unpacked = derived_id("untar", good.key)
    keep_unpacked(store, unpacked, data=bytes(LARGE))
    path = store.path(bad.key)
    path.chmod(0o755)
    with path.open("r+b") as opened:
        opened.write(b"altered")
    for room in ("ledger", "entrance", "members", "sharing"):
        monkeypatch.setattr(f"vine.content.{room}.boot_id", lambda: "another")
    store = reopened(store)
    assert set(store.held()) == {good.key, tree.key}
    store = reopened(store)
    assert set(store.held()) == {good.key, tree.key}


def test_a_transfer_that_a_dead_worker_had_begun_is_resumed(store: Store) -> None:
    made, barely = made_of(600_000), made_of(600_000, 1)
    store.begin(made.key, made.manifest).write(1, made.chunks[1])
    store.begin(barely.key, barely.manifest)
    os.truncate(store.root / "partial" / barely.key, 7)
    store = reopened(store)
    assert store.begin(made.key, made.manifest).present == {1}
    assert store.begin(barely.key, barely.manifest).present == set()
    assert store.used_bytes == 1_200_000


def test_what_does_not_fit_any_more_goes_and_what_is_kept_for_ever_goes_last(store: Store) -> None:
    older, forever, newer = (made_of(LARGE, seed) for seed in range(3))
    for made in (older, forever, newer):
        receive(store, made)
    store.rate(forever.key, spare=True, forever=True)
    store = reopened(store, capacity_bytes=2 * LARGE)
    assert store.held() == {forever.key: True, newer.key: False}
    store = reopened(store, capacity_bytes=LARGE)
    assert store.held() == {forever.key: True}


def test_what_is_kept_for_ever_outlives_an_orderly_end_and_nothing_else_does(store: Store) -> None:
    forever, other, coming = made_of(10), made_of(LARGE, 1), made_of(LARGE, 2)
    for made in (forever, other):
        receive(store, made)
    store.begin(coming.key, coming.manifest).release()
    store.rate(forever.key, spare=True, forever=True)
    assert store.leave()
    assert on_disk(store) == {f"objects/{forever.key}"}
    store = Store(store.root)
    assert store.held() == {forever.key: True}
    assert store.path(forever.key).read_bytes() == forever.content
    store.rate(forever.key, spare=True, forever=False)
    assert not store.leave()
    assert not store.root.exists()
