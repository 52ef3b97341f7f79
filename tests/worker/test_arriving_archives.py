"""Does a real worker unpack an archive while its source still sends it, and keep nothing that is not whole?"""

from __future__ import annotations

import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psutil
import pytest

from tests.transfer.nodes import BufferObjects
from tests.worker.manager import SOURCE_KEY, ScriptedManager
from vine.content.manifest import derived_id
from vine.names import MANAGER, ObjectId, TransferId, WorkerId
from vine.transfer.node import TransferNode
from vine.wire.parts import FetchFault, ObjectMount, Role, TaskKind
from vine.wire.worker_messages import (
    AbandonFetch,
    DropObjects,
    FetchEnded,
    ObjectsHeld,
    ObjectsLost,
    RunAttempts,
    UnpackObject,
)

pytestmark = pytest.mark.live

FILES = 16


class Source:
    """The manager's transfer node: it sends a chunk of its archive whenever the test lets it."""

    def __init__(self, manager: ScriptedManager, archive: Path) -> None:
        self._manager = manager
        self.objects = BufferObjects()
        self.objects.held_back = True
        self.key, self.manifest = self.objects.put(archive.read_bytes())
        self.tree = derived_id("untar", self.key)
        self._node = TransferNode(
            manager.context, manager.keys, Role.SERVER, "127.0.0.1", SOURCE_KEY, self.objects, lambda event: None
        )

    def order(self, worker: WorkerId) -> TransferId:
        return self._manager.order(
            worker, self.key, self.manifest, (MANAGER, Role.SERVER, self._node.requests_endpoint)
        )

    def send(self, chunks: int) -> None:
        self.objects.allowed.release(chunks)

    def send_all(self) -> None:
        self.objects.held_back = False
        self.send(1000)

    def close(self) -> None:
        self.send_all()
        self._node.close()


def archive_at(path: Path, *first: str) -> Path:
    """Files of a chunk's size, behind others with these names."""
    (path.parent / "file").write_bytes(Random(1).randbytes(256 << 10))
    with tarfile.open(path, "w") as archive:
        for name in (*first, *(f"{number:02}" for number in range(FILES))):
            archive.add(path.parent / "file", name)
    return path


@pytest.fixture
def source(manager: ScriptedManager, tmp_path: Path) -> Iterator[Source]:
    opened = Source(manager, archive_at(tmp_path / "env.tar"))
    yield opened
    opened.close()


class Store:
    """What lies on the worker's disk."""

    def __init__(self, manager: ScriptedManager, tree: ObjectId) -> None:
        self._folder = manager.folder / "work" / f"vine-store-{os.geteuid()}-host-w1"
        self._tree = tree

    @property
    def unpacked(self) -> int:
        """Files that are unpacked, and not an object yet."""
        folder = self._folder / "partial" / self._tree
        return len(list(folder.iterdir())) if folder.exists() else 0

    @property
    def is_there(self) -> bool:
        return (self._folder / "objects" / self._tree).exists()


@pytest.fixture
def store(manager: ScriptedManager, source: Source) -> Store:
    return Store(manager, source.tree)


def unpackers(folder: Path) -> list[int]:
    """The processes that unpack below this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if "vine.content.archive" in arguments and str(folder) in " ".join(arguments):
            found.append(process.pid)
    return found


def halfway(manager: ScriptedManager, worker: WorkerId, source: Source, store: Store) -> None:
    """The archive is ordered, some of it has come, and some of that is unpacked."""
    manager.say(worker, UnpackObject(source.tree, source.key, "env.tar"))
    source.order(worker)
    source.send(8)
    manager.until(lambda: store.unpacked > 2)


def held(manager: ScriptedManager, worker: WorkerId, key: ObjectId) -> bool:
    said = [message for message in manager.heard.get(worker, []) if isinstance(message, ObjectsHeld)]
    return any(key in message.object_ids for message in said)


def test_the_folder_that_a_task_waits_for_is_unpacked_before_its_archive_is_complete(
    manager: ScriptedManager, worker: WorkerId, source: Source, store: Store
) -> None:
    # given a task that needs what is unpacked of an archive whose source has stopped midway
    mount = ObjectMount(source.tree, "env")
    task = manager.assignment(TaskKind.COMMAND, command="ls env | wc -l", inputs=(mount,))
    manager.say(worker, RunAttempts((task,)))
    halfway(manager, worker, source, store)
    # then files are unpacked, and neither archive nor folder are said to be there
    assert not store.is_there
    assert not any(isinstance(message, FetchEnded) for message in manager.heard[worker])
    # when the source goes on, then the task sees them all
    source.send_all()
    (result,) = manager.results_of(task)
    assert int(result.stdout) == FILES
    assert store.is_there


def test_unpacking_goes_on_where_it_was_when_another_order_brings_the_rest(
    manager: ScriptedManager, worker: WorkerId, source: Source, store: Store
) -> None:
    # given an unpacking whose archive stops coming
    halfway(manager, worker, source, store)
    (process,) = unpackers(manager.folder)
    manager.say(worker, AbandonFetch(TransferId(1, 1)))
    assert manager.next(worker, FetchEnded).fault is FetchFault.ABANDONED
    # when it is ordered again, then the same process goes on
    source.order(worker)
    source.send(2)
    assert unpackers(manager.folder) == [process]
    source.send_all()
    manager.until(lambda: held(manager, worker, source.tree))
    assert manager.command(worker, "ls env | wc -l", inputs=(ObjectMount(source.tree, "env"),)).stdout.split() == [
        str(FILES).encode()
    ]


def test_altered_chunks_are_not_unpacked_and_good_ones_in_their_place_are(
    manager: ScriptedManager, worker: WorkerId, source: Source, store: Store
) -> None:
    # given a source whose further chunks are all altered
    halfway(manager, worker, source, store)
    source.objects.damage = True
    source.send_all()
    assert manager.next(worker, FetchEnded).fault is FetchFault.BAD_CHUNKS
    # when it sends good ones
    source.objects.damage = False
    source.order(worker)
    # then every file is as it was packed
    manager.until(lambda: held(manager, worker, source.tree))
    command = f"for name in env/*; do cmp $name {manager.folder}/file && echo same; done"
    result = manager.command(worker, command, inputs=(ObjectMount(source.tree, "env"),))
    assert result.stdout.split() == [b"same"] * FILES


def test_what_is_not_wanted_any_more_leaves_neither_process_nor_folder(
    manager: ScriptedManager, worker: WorkerId, source: Source, store: Store
) -> None:
    halfway(manager, worker, source, store)
    manager.say(worker, DropObjects((source.tree,)))
    manager.say(worker, AbandonFetch(TransferId(1, 1)))
    manager.say(worker, DropObjects((source.key,)))
    partial = manager.folder / "work" / f"vine-store-{os.geteuid()}-host-w1" / "partial"
    manager.until(lambda: not unpackers(manager.folder) and not list(partial.iterdir()))
    source.send_all()
    assert manager.command(worker, "true").exit_code == 0
    assert not held(manager, worker, source.tree)


def test_a_bad_member_is_told_while_the_rest_of_its_archive_still_comes(
    manager: ScriptedManager, worker: WorkerId, tmp_path: Path
) -> None:
    source = Source(manager, archive_at(tmp_path / "bad.tar", "../outside"))
    manager.say(worker, UnpackObject(source.tree, source.key, "bad.tar"))
    source.order(worker)
    source.send(2)
    lost = manager.next(worker, ObjectsLost)
    assert lost.object_ids == (source.tree,)
    assert "bad.tar could not be unpacked" in lost.message
    assert not any(isinstance(message, FetchEnded) for message in manager.heard[worker])
    source.close()


def test_a_killed_worker_leaves_no_process_and_the_next_one_does_not_take_half_for_whole(
    manager: ScriptedManager, worker: WorkerId, source: Source, store: Store
) -> None:
    # given a worker that is killed while it unpacks
    halfway(manager, worker, source, store)
    manager.processes[0].send_signal(signal.SIGKILL)
    manager.processes[0].wait()
    manager.until(lambda: not unpackers(manager.folder))
    # when the next one takes over its folder
    manager.start_worker("w2")
    second = manager.joined("w2")
    # then it says nothing of an unpacked archive, and unpacks it when it is told to
    manager.command(second, "true")
    assert not held(manager, second, source.tree)
    source.send_all()
    manager.say(second, UnpackObject(source.tree, source.key, "env.tar"))
    source.order(second)
    manager.until(lambda: held(manager, second, source.tree))
    result = manager.command(second, "ls env | wc -l", inputs=(ObjectMount(source.tree, "env"),))
    assert int(result.stdout) == FILES
