"""The store keeps what was verified, tells what was altered, and gives room back."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.content.objects import Made, made_of, made_tree
from vine.content.hashing import manifest_of_tree
from vine.content.manifest import derived_id, object_id
from vine.content.store import Store
from vine.errors import DiskFull, FileMissing, MalformedMessage, UsageError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


def receive(store: Store, made: Made) -> None:
    partial = store.begin(made.key, made.manifest)
    made.feed(partial)
    partial.commit()


def on_disk(store: Store) -> set[str]:
    return {
        f"{folder}/{name}"
        for folder in ("objects", "partial", "quarantine")
        for name in os.listdir(store.root / folder)
    }


@pytest.mark.parametrize("mapped", [False, True])
def test_what_was_received_is_kept_and_served(store: Store, mapped: bool) -> None:
    made = made_of(600_000)
    receive(store, made)
    store.map_files = mapped
    assert store.has(made.key)
    assert store.path(made.key).read_bytes() == made.content
    assert [bytes(store.read_chunk(made.key, made.manifest, index)) for index in range(3)] == made.chunks
    assert not store.altered(made.key)
    assert on_disk(store) == {f"objects/{made.key}"}
    assert store.used_bytes == 600_000


def test_a_tree_that_was_received_is_the_tree_that_was_sent(store: Store, tmp_path: Path) -> None:
    made = made_tree(tmp_path / "tree", [10, 300_000, 0, 5])
    receive(store, made)
    assert object_id(manifest_of_tree(store.path(made.key))) == made.key
    assert b"".join(store.read_chunk(made.key, made.manifest, index) for index in range(2)) == made.content
    assert not store.altered(made.key)


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


def test_one_object_put_by_many_threads_is_there_for_each(store: Store) -> None:
    made = made_of(300_000)
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
    assert (store.used_bytes, on_disk(store)) == (300_000, {f"objects/{made.key}"})


def test_outputs_are_taken_from_where_they_were_made(store: Store, tmp_path: Path) -> None:
    made = made_tree(tmp_path / "output", [10, 300_000])
    (tmp_path / "file").write_bytes(b"result")
    key, manifest = store.adopt(tmp_path / "output")
    file_key, _ = store.adopt(tmp_path / "file")
    assert (key, manifest) == (made.key, made.manifest)
    assert store.path(file_key).read_bytes() == b"result"
    assert os.listdir(tmp_path) == ["workspace"]
    assert not store.altered(key)
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
    assert store.commit_tree(key) == 2
    assert (store.path(key) / "bin" / "python").stat().st_mtime == 7
    assert not store.altered(key)
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
    (store.begin_tree(key) / "large").write_bytes(bytes(1001))
    with pytest.raises(DiskFull):
        store.commit_tree(key)
    assert (store.used_bytes, on_disk(store)) == (0, set())


def test_altered_and_broken_objects_go_before_new_ones_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "workspace", capacity_bytes=1000)
    altered, broken, wanted = made_of(400, 1), made_of(400, 2), made_of(900, 3)
    receive(store, altered)
    store.quarantine(altered.key)
    store.begin(broken.key, broken.manifest).release()
    assert store.used_bytes == 800
    receive(store, wanted)
    assert (store.used_bytes, on_disk(store)) == (900, {f"objects/{wanted.key}"})


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
        assert store.altered(one.key)
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
    assert store.altered(made.key)


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
    store.map_files = True
    view = store.read_chunk(made.key, made.manifest, 0)
    store.remove(made.key)
    assert bytes(view) == made.content


def test_a_store_begins_empty_and_clears_itself(tmp_path: Path) -> None:
    store = Store(tmp_path / "workspace")
    receive(store, made_tree(tmp_path / "tree", [10]))
    store.begin(made_of(5).key, made_of(5).manifest)
    store.close()
    store = Store(tmp_path / "workspace")
    assert (store.used_bytes, on_disk(store)) == (0, set())
    receive(store, made_of(10))
    store.pin(made_of(10).key)
    store.clear()
    assert (store.used_bytes, on_disk(store), store.has(made_of(10).key)) == (0, set(), False)
    receive(store, made_of(10))


class Life(RuleBasedStateMachine):
    """Whatever happens to objects, what the store counts is what lies on disk."""

    objects = [made_of(size, seed) for seed, size in enumerate((0, 10, 300_000, 600_000))]
    which = st.sampled_from(range(4))

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name), capacity_bytes=1_000_000)
        self.held: set[int] = set()
        self.pins = dict.fromkeys(range(4), 0)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(which=which)
    def begin_and_break(self, which: int) -> None:
        made = self.objects[which]
        if which not in self.held:
            try:
                partial = self.store.begin(made.key, made.manifest)
            except DiskFull:
                return
            for index in range(0, len(made.chunks), 2):
                partial.write(index, made.chunks[index])
            partial.release()

    @rule(which=which)
    def receive(self, which: int) -> None:
        if which not in self.held:
            try:
                receive(self.store, self.objects[which])
            except DiskFull:
                return
            self.held.add(which)

    @rule(which=which)
    def adopt(self, which: int) -> None:
        path = Path(self.folder.name) / "output"
        path.write_bytes(self.objects[which].content)
        try:
            self.store.adopt(path)
        except DiskFull:
            return
        self.held.add(which)

    @rule(which=which)
    def remove(self, which: int) -> None:
        removed = self.store.remove(self.objects[which].key)
        assert removed == (which in self.held and not self.pins[which])
        if removed:
            self.held.discard(which)

    @rule(which=which)
    def quarantine(self, which: int) -> None:
        self.store.quarantine(self.objects[which].key)
        self.held.discard(which)

    @rule(which=which)
    def pin(self, which: int) -> None:
        self.store.pin(self.objects[which].key)
        self.pins[which] += 1

    @rule(which=which)
    @precondition(lambda self: any(self.pins.values()))
    def unpin(self, which: int) -> None:
        if self.pins[which]:
            self.store.unpin(self.objects[which].key)
            self.pins[which] -= 1

    @invariant()
    def counts_agree(self) -> None:
        assert {which for which, made in enumerate(self.objects) if self.store.has(made.key)} == self.held
        lying = sum((self.store.root / path).stat().st_size for path in on_disk(self.store))
        assert self.store.used_bytes == lying <= 1_000_000
        for which in self.held:
            assert not self.store.altered(self.objects[which].key)
            assert self.store.path(self.objects[which].key).stat().st_size == len(self.objects[which].content)


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
test_counts_are_what_lies_on_disk = Life.TestCase


def test_an_output_folder_shares_no_file_with_what_stays_outside(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.write_bytes(b"of the user")
    folder.mkdir()
    (folder / "member").hardlink_to(outside)
    key, _manifest = store.adopt(folder)
    outside.write_bytes(b"written to later")
    assert (store.path(key) / "member").read_bytes() == b"of the user"
    assert not store.altered(key)
