"""Does an archive become a directory object, or a message that says why not?"""

from __future__ import annotations

import gzip
import io
import queue
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vine.content.manifest import derived_id
from vine.content.store import Store
from vine.names import ObjectId
from vine_worker.actions import StartUnpack, Unpacked
from vine_worker.holdings import Holdings
from vine_worker.unpacking import Unpacking

pytestmark = pytest.mark.live


def archive_of(folder: Path, member: bytes) -> Path:
    """The same bytes for the same member."""
    data, path = io.BytesIO(), folder / "archive"
    with tarfile.open(fileobj=data, mode="w") as archive:
        entry = tarfile.TarInfo("bin/tool")
        entry.size = len(member)
        archive.addfile(entry, io.BytesIO(member))
    path.write_bytes(gzip.compress(data.getvalue(), mtime=0))
    return path


class Bench:
    def __init__(self, folder: Path, capacity_bytes: int) -> None:
        self.folder = folder
        self.holdings = Holdings(Store(folder / "store", capacity_bytes))
        self.reports: queue.Queue[object] = queue.Queue()
        self.unpacking = Unpacking(self.holdings, self.reports.put)

    def unpack(self, member: bytes) -> tuple[ObjectId, object]:
        key, _manifest = self.holdings.adopt(archive_of(self.folder, member))
        tree = derived_id("untar", key)
        self.unpacking.start(StartUnpack(tree, key, "tools.tar.gz"))
        return tree, self.reports.get(timeout=20)

    def close(self) -> None:
        self.unpacking.close()
        self.holdings.store.leave()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, 1_000_000)
    yield made
    made.close()


def test_an_archive_becomes_a_folder_in_the_store(bench: Bench) -> None:
    tree, report = bench.unpack(b"#!/bin/sh")
    assert report == Unpacked(tree)
    assert (bench.holdings.path(tree) / "bin" / "tool").read_bytes() == b"#!/bin/sh"


def test_an_archive_that_unpacks_to_more_than_there_is_room_for_leaves_nothing(bench: Bench) -> None:
    tree, report = bench.unpack(bytes(2_000_000))
    assert isinstance(report, Unpacked)
    assert report.disk_full
    assert "tools.tar.gz" in report.message
    assert "unpacks to more than" in report.message, "all of it was written first"
    assert not bench.holdings.store.has(tree)
    assert bench.holdings.store.used_bytes < 100_000


def test_what_a_mate_unpacks_is_waited_for_and_had_once(bench: Bench) -> None:
    # given another worker of the host that is unpacking an archive
    mate = Store(bench.folder / "store", 1_000_000)
    tree = derived_id("untar", ObjectId("a" * 64))
    (mate.begin_tree(tree) / "data").write_bytes(b"data")
    # when this one is to unpack it as well, then it does not begin (the archive is not even here)
    bench.unpacking.start(StartUnpack(tree, ObjectId("a" * 64), "data.tar"))
    assert bench.reports.empty()
    mate.commit_tree(tree)
    assert bench.reports.get(timeout=20) == Unpacked(tree)
    assert bench.holdings.path(tree) == mate.path(tree)
    mate.leave()


def test_what_a_killed_mate_was_unpacking_is_unpacked_here(bench: Bench) -> None:
    mate = Store(bench.folder / "store", 1_000_000)
    key, _manifest = mate.adopt(archive_of(bench.folder, b"#!/bin/sh"))
    tree = derived_id("untar", key)
    (mate.begin_tree(tree) / "half").write_bytes(b"x")
    assert bench.holdings.store.is_made_elsewhere(tree)
    mate.abandon()
    assert bench.unpack(b"#!/bin/sh") == (tree, Unpacked(tree))
    assert [path.name for path in bench.holdings.path(tree).iterdir()] == ["bin"]
