"""Chunks land where they belong in any order, survive a broken transfer, and are late without harm."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.objects import Made, made_of, made_tree
from vine.content import partial as partial_module
from vine.content.partial import Partial, Present, disk_full_or
from vine.errors import DiskFull


class Owner:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def partial_complete(self, partial: Partial) -> None:
        self.heard.append("complete")

    def partial_released(self, partial: Partial) -> None:
        self.heard.append("released")

    def partial_discarded(self, partial: Partial) -> None:
        self.heard.append("discarded")


def begin(made: Made, path: Path, owner: Owner | None = None) -> Partial:
    return Partial(made.key, made.manifest, path, owner or Owner())


sizes = st.sampled_from([0, 1, 262_143, 262_144, 262_145, 600_000, 1_000_000])


@settings(max_examples=30)
@given(size=sizes, order=st.randoms(use_true_random=False))
def test_chunks_in_any_order_make_the_file(size: int, order: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = made_of(size)
    partial = begin(made, tmp_path_factory.mktemp("partial") / "object")
    indices = list(range(len(made.chunks)))
    order.shuffle(indices)  # type: ignore[attr-defined]
    for index in indices:
        assert not partial.complete
        partial.write(index, memoryview(made.chunks[index]))
        assert partial.read(index) == made.chunks[index]
    assert partial.complete
    partial.commit()
    assert partial.path.read_bytes() == made.content


@settings(max_examples=30, deadline=None)
@given(
    files=st.lists(st.sampled_from([0, 1, 1000, 262_144, 300_000]), max_size=5),
    kept=st.sets(st.integers(0, 5)),
    spoilt=st.sets(st.integers(0, 5)),
    tree=st.booleans(),
)
def test_a_resumed_object_has_exactly_its_good_chunks(
    files: list[int], kept: set[int], spoilt: set[int], tree: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given a transfer that broke after some chunks, of which some are damaged on disk
    folder = tmp_path_factory.mktemp("resume")
    made = made_tree(folder / "tree", files) if tree else made_of(sum(files))
    first = begin(made, folder / "object")
    chunks = set(range(len(made.chunks)))
    for index in kept & chunks:
        first.write(index, bytes(byte ^ (index in spoilt) for byte in made.chunks[index]))
    first.release()
    # when it is taken up again
    second = begin(made, folder / "object")
    second.recheck()
    # then what is good is known, and the rest completes it
    assert second.present == (kept & chunks) - spoilt
    made.feed(second)
    second.commit()
    final = begin(made, folder / "object")
    final.recheck()
    assert final.complete


def test_a_tree_arrives_with_its_folders_links_and_programs(tmp_path: Path) -> None:
    made = made_tree(tmp_path / "tree", [10, 0, 300_000])
    partial = begin(made, tmp_path / "object")
    made.feed(partial)
    partial.commit()
    assert os.readlink(tmp_path / "object" / "link") == "sub/000"
    assert os.access(tmp_path / "object" / "tool", os.X_OK)
    assert (tmp_path / "object" / "sub" / "002").read_bytes() == (tmp_path / "tree" / "sub" / "002").read_bytes()


def test_a_chunk_that_is_not_here_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        begin(made_of(10), tmp_path / "object").read(0)


@pytest.mark.parametrize("tree", [False, True])
def test_what_comes_after_the_end_is_dropped(tmp_path: Path, tree: bool) -> None:
    # given a transfer that was abandoned while a chunk of it was in another thread's hands
    made = made_tree(tmp_path / "tree", [300_000]) if tree else made_of(300_000)
    owner = Owner()
    partial = begin(made, tmp_path / "object", owner)
    partial.write(0, made.chunks[0])
    partial.discard()
    # when that thread writes and reads
    partial.write(1, made.chunks[1])
    # then nothing comes back to life
    assert not (tmp_path / "object").exists()
    assert partial.present == {0}
    with pytest.raises((KeyError, FileNotFoundError)):
        partial.read(0)
    partial.discard()
    partial.release()
    assert owner.heard == ["discarded"]


def test_a_file_is_not_closed_under_its_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a writer that is overtaken by the end of the transfer, and another file that is opened then
    made = made_of(100)
    partial = begin(made, tmp_path / "object")
    write = os.pwrite
    others = []

    def overtaken(number: int, data: memoryview, offset: int) -> int:
        partial.discard()
        others.append((tmp_path / "other").open("w+b"))
        return write(number, data, offset)

    monkeypatch.setattr(partial_module.os, "pwrite", overtaken)
    # when it writes, then not into the other's file
    partial.write(0, made.chunks[0])
    others[0].close()
    assert (tmp_path / "other").read_bytes() == b""


def test_only_what_is_complete_is_committed_and_once(tmp_path: Path) -> None:
    made, owner = made_of(300_000), Owner()
    partial = begin(made, tmp_path / "object", owner)
    with pytest.raises(AssertionError):
        partial.commit()
    made.feed(partial)
    partial.commit()
    partial.commit()
    assert owner.heard == ["complete"]


def test_a_disk_without_room_is_named_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(partial_module.os, "posix_fallocate", full)
    with pytest.raises(DiskFull, match=r"no room for 10 bytes.*--workspace"):
        begin(made_of(10), tmp_path / "object")
    assert not (tmp_path / "object").exists()


def test_other_errors_of_the_disk_stay_what_they_are(tmp_path: Path) -> None:
    broken = OSError(errno.EIO, "Input/output error")
    assert disk_full_or(broken, tmp_path, 1) is broken


def test_of_what_is_here_already_nothing_is_left_to_come() -> None:
    made, here, unwanted = made_of(600_000), [True], []
    present = Present(made.manifest, made.chunks.__getitem__, lambda: here[0], lambda: unwanted.append(1))
    assert present.present == {0, 1, 2}
    assert present.read(1) == made.chunks[1]
    present.write(1, made.chunks[1])
    present.commit()
    present.discard()
    assert unwanted == [1]
    here[0] = False
    with pytest.raises(FileNotFoundError):
        present.commit()


# --- reading along ---


@settings(max_examples=40)
@given(size=sizes, order=st.randoms(use_true_random=False), from_chunk=st.integers(0, 5))
def test_who_follows_hears_of_all_that_is_here_without_a_gap_and_of_nothing_else(
    size: int, order: object, from_chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = made_of(size)
    partial = begin(made, tmp_path_factory.mktemp("partial") / "object")
    indices = list(range(len(made.chunks)))
    order.shuffle(indices)  # type: ignore[attr-defined]
    told: list[int | None] = []
    descriptor = None
    for number, index in enumerate([*indices, None]):
        if number == min(from_chunk, len(indices)):
            descriptor = partial.follow(told.append)
        if index is not None:
            partial.write(index, made.chunks[index])
        if told:
            gap = next((i for i in range(len(made.chunks)) if i not in partial.present), len(made.chunks))
            assert told[-1] == sum(map(len, made.chunks[:gap]))
    assert descriptor is not None
    assert told == sorted(set(told)), "it was told twice, or less than before"
    assert os.pread(descriptor, size + 1, 0) == made.content
    os.close(descriptor)


def test_what_an_earlier_transfer_left_counts_for_who_follows(tmp_path: Path) -> None:
    made = made_of(600_000)
    begin(made, tmp_path / "object").write(0, made.chunks[0])
    partial = begin(made, tmp_path / "object")
    partial.recheck()
    told: list[int | None] = []
    descriptor = partial.follow(told.append)
    assert descriptor is not None
    os.close(descriptor)
    assert told == [len(made.chunks[0])]


@pytest.mark.parametrize("end", [Partial.release, Partial.discard])
def test_who_follows_hears_that_the_rest_will_not_come(tmp_path: Path, end: Callable[[Partial], None]) -> None:
    partial = begin(made_of(600_000), tmp_path / "object")
    told: list[int | None] = []
    descriptor = partial.follow(told.append)
    assert descriptor is not None
    os.close(descriptor)
    end(partial)
    assert told == [0, None]


def test_what_has_ended_and_folders_are_not_followed(tmp_path: Path) -> None:
    told: list[int | None] = []
    partial = begin(made_of(10), tmp_path / "object")
    partial.discard()
    assert partial.follow(told.append) is None
    assert begin(made_tree(tmp_path / "tree", [10]), tmp_path / "other").follow(told.append) is None
    assert told == []


def test_a_chunk_that_is_written_twice_at_once_does_not_alter_what_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, written = made_of(1000), []
    partial = begin(made, tmp_path / "object")
    begun, may_go_on = threading.Event(), threading.Event()
    write_all = partial_module._write_all

    def write_slowly(number: int, view: memoryview, offset: int) -> None:
        if threading.current_thread() is late:
            begun.set()
            may_go_on.wait(20)
        write_all(number, view, offset)
        written.append(threading.current_thread())

    def commit() -> None:
        partial.commit()
        written.append(threading.current_thread())

    monkeypatch.setattr(partial_module, "_write_all", write_slowly)
    late = threading.Thread(target=partial.write, args=(0, made.content))
    ender = threading.Thread(target=commit)
    # given one that has all, while another thread still writes what it has
    late.start()
    assert begun.wait(20)
    partial.write(0, made.content)
    assert partial.complete
    # when it is committed, then that waits
    ender.start()
    ender.join(0.05)
    may_go_on.set()
    late.join()
    ender.join()
    assert written[1:] == [late, ender]
    # and what comes later still is not written at all
    partial.write(0, made.content)
    assert len(written) == 3
