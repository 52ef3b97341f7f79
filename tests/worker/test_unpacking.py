"""Does an archive become a directory object, or a message that says why not?"""

from __future__ import annotations

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


class Bench:
    def __init__(self, folder: Path, capacity_bytes: int) -> None:
        self.folder = folder
        self.holdings = Holdings(Store(folder / "store", capacity_bytes))
        self._reports: queue.Queue[object] = queue.Queue()
        self._unpacking = Unpacking(self.holdings, self._reports.put)

    def unpack(self, member: bytes) -> tuple[ObjectId, object]:
        (self.folder / "member").write_bytes(member)
        with tarfile.open(self.folder / "archive", "w:gz") as archive:
            archive.add(self.folder / "member", "bin/tool")
        key, _manifest = self.holdings.adopt(self.folder / "archive")
        tree = derived_id("untar", key)
        self._unpacking.start(StartUnpack(tree, key, "tools.tar.gz"))
        return tree, self._reports.get(timeout=20)

    def close(self) -> None:
        self._unpacking.close()
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
