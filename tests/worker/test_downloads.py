"""Do URLs become objects, or reports that say why not, while the worker does other things?"""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web import Reply, WebServer, a_web_server
from vine.content.hashing import manifest_of_bytes
from vine.content.ledger import HeldByOthersError
from vine.content.manifest import object_id
from vine.content.store import Store
from vine.names import TransferId
from vine.wire.parts import DownloadFault
from vine.wire.worker_messages import DownloadEnded, DownloadUrl
from vine_worker.downloads import Downloads
from vine_worker.holdings import Holdings

DATA = os.urandom(1_000_000)
ID = TransferId(1, 1)


class Bench:
    def __init__(self, folder: Path, capacity_bytes: int = 5_000_000) -> None:
        self.holdings = Holdings(Store(folder / "store", capacity_bytes))
        self._reports: queue.Queue[object] = queue.Queue()
        self.downloads = Downloads(self.holdings, self._reports.put)

    def report(self) -> DownloadEnded:
        report = self._reports.get(timeout=30)
        assert isinstance(report, DownloadEnded), report
        return report

    def download(self, url: str) -> DownloadEnded:
        self.downloads.start(DownloadUrl(ID, url, "the data"))
        return self.report()

    def close(self) -> None:
        self.downloads.close()
        self.holdings.store.leave()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with a_web_server() as server:
        yield server


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_what_was_downloaded_is_in_the_store_and_can_be_served(server: WebServer, bench: Bench) -> None:
    ended = bench.download(server.serve(Reply(DATA)))
    manifest = manifest_of_bytes(DATA)
    key = object_id(manifest)
    assert (ended.fault, ended.object_id, ended.manifest) == (DownloadFault.NONE, key, manifest)
    assert ended.received_bytes == len(DATA)
    assert bench.holdings.path(key).read_bytes() == DATA
    assert bench.holdings.read_chunk(key, 0) == DATA[: manifest.chunk_bytes]


def test_what_was_refused_is_told_by_its_label_and_leaves_nothing(server: WebServer, bench: Bench) -> None:
    ended = bench.download(server.url("/missing?token=secret"))
    assert ended.fault is DownloadFault.REFUSED
    assert ended.message == "the data could not be downloaded: its server answered 404 Not Found"
    assert ended.object_id is None
    assert bench.holdings.store.used_bytes == 0


def test_what_does_not_fit_is_told_as_a_full_disk(server: WebServer, tmp_path: Path) -> None:
    bench = Bench(tmp_path, 500_000)
    ended = bench.download(server.serve(Reply(DATA)))
    assert ended.fault is DownloadFault.DISK_FULL
    assert "--disk" in ended.message
    assert bench.holdings.store.used_bytes == 0
    bench.close()


@pytest.mark.parametrize("error", [OSError(errno.EROFS, "Read-only file system"), HeldByOthersError("by a worker")])
def test_what_the_store_here_cannot_take_is_not_told_as_the_url_s_fault(
    server: WebServer, bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(growing: object) -> None:
        raise error

    monkeypatch.setattr(bench.holdings, "keep_grown", fail)
    ended = bench.download(server.serve(Reply(DATA)))
    assert ended.fault is DownloadFault.NOT_KEPT
    assert ended.message == f"the data could not be downloaded: {error}"


def test_a_download_is_stopped_in_the_midst_of_silence_and_reported(server: WebServer, bench: Bench) -> None:
    # given a server that has been asked, and does not answer
    asked, done = threading.Event(), threading.Event()
    server.hold = lambda: (asked.set(), done.wait(30))
    bench.downloads.start(DownloadUrl(ID, server.serve(Reply(DATA)), "the data"))
    assert asked.wait(30)
    # when
    bench.downloads.stop(ID)
    # then it is told before the server says anything
    assert bench.report().fault is DownloadFault.ABANDONED
    done.set()
    bench.downloads.stop(ID)  # what has ended is stopped by nobody


def test_the_end_of_the_worker_ends_its_downloads(server: WebServer, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    asked, done = threading.Event(), threading.Event()
    server.hold = lambda: (asked.set(), done.wait(30))
    bench.downloads.start(DownloadUrl(ID, server.serve(Reply(DATA)), "the data"))
    assert asked.wait(30)
    bench.close()
    assert bench.report().fault is DownloadFault.ABANDONED
    done.set()


def test_two_downloads_run_at_once(server: WebServer, bench: Bench) -> None:
    together = threading.Barrier(2)
    server.hold = lambda: together.wait(30)
    for number in (1, 2):
        url = server.serve(Reply(DATA + bytes(number)), path=f"/{number}")
        bench.downloads.start(DownloadUrl(TransferId(1, number), url, url))
    assert {bench.report().fault for _ in range(2)} == {DownloadFault.NONE}
