"""Does an archive become a directory object while it arrives, or a message that says why not?"""

from __future__ import annotations

import gzip
import queue
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.objects import Made, contents_of
from tests.content.test_archive import FILE, Entry, archive_of
from tests.waiting import GIVE_UP_S, until
from vine.content.hashing import manifest_of_file
from vine.content.manifest import derived_id
from vine.content.partial import Partial
from vine.content.store import Store
from vine.environments.pack import pack_tree
from vine.names import ObjectId
from vine.transfer.landing import Landing
from vine_worker.actions import ArchiveCame, StartUnpack, StopUnpack, Unpacked
from vine_worker.holdings import Holdings
from vine_worker.unpacking import Unpacking

pytestmark = pytest.mark.live


class Bench:
    """A store, the unpackings in it, and one archive that arrives chunk by chunk."""

    def __init__(self, folder: Path, capacity_bytes: int) -> None:
        self.folder = folder
        self.holdings = Holdings(Store(folder / "store", capacity_bytes))
        self.store = self.holdings.store
        self._reports: queue.Queue[object] = queue.Queue()
        self.unpacking = Unpacking(self.holdings, self._reports.put)

    def unpack(self, member: bytes) -> tuple[ObjectId, object]:
        (self.folder / "member").write_bytes(member)
        with tarfile.open(self.folder / "archive", "w:gz") as archive:
            archive.add(self.folder / "member", "bin/tool")
        key, _manifest = self.holdings.adopt(self.folder / "archive")
        tree = derived_id("untar", key)
        self.unpacking.start(StartUnpack(tree, key, "tools.tar.gz"))
        return tree, self.report()

    def begin(self, archive: Path) -> Arrival:
        return Arrival(self, archive)

    def report(self) -> object:
        return self._reports.get(timeout=GIVE_UP_S)

    @property
    def quiet(self) -> bool:
        return self._reports.empty()

    def processes(self) -> list[psutil.Process]:
        """Those that unpack."""
        return [process for process in psutil.Process().children() if self._unpacks(process)]

    def _unpacks(self, process: psutil.Process) -> bool:
        try:
            return str(self.folder) in " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            return False  # It has just ended.

    def close(self) -> None:
        self.unpacking.close()
        self.store.leave()


class Arrival:
    """An archive that arrives and is unpacked meanwhile."""

    def __init__(self, bench: Bench, archive: Path) -> None:
        self.bench = bench
        self.made = Made(manifest_of_file(archive)[0], archive.read_bytes())
        self.tree = derived_id("untar", self.made.key)
        self.partial: Partial = bench.holdings.begin(self.made.key, self.made.manifest)
        bench.unpacking.start(StartUnpack(self.tree, self.made.key, "env", ahead=True))

    def write(self, *indices: int) -> None:
        for index in indices:
            self.partial.write(index, self.made.chunks[index])

    def complete(self) -> None:
        """What the core and the transfer node make of its end."""
        self.made.feed(self.partial)
        self.partial.commit()
        self.bench.unpacking.archive_came(ArchiveCame(self.tree))

    @property
    def folder(self) -> Path:
        """Where it is unpacked."""
        return self.bench.store.root / "partial" / self.tree

    @property
    def unpacked(self) -> list[str]:
        """The files that are there by now; the last one may not be whole."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())

    def until_unpacked(self, files: int) -> None:
        until(lambda: len(self.unpacked) >= files, f"{files} files are unpacked")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, 50_000_000)
    yield made
    made.close()


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An archive of ours, of twelve chunks and as many files."""
    dice = random.Random(7)
    (tmp_path / "tree").mkdir()
    for number in range(12):
        (tmp_path / "tree" / f"{number:02}").write_bytes(dice.randbytes(256 << 10))
    return pack_tree(tmp_path / "tree", tmp_path / "packed.tar.zst")


@pytest.fixture
def plain(tmp_path: Path, packed: Path) -> Path:
    """The same files, not compressed: each is there as soon as its bytes are."""
    with tarfile.open(tmp_path / "plain.tar", "w") as archive:
        archive.add(tmp_path / "tree", ".")
    return tmp_path / "plain.tar"


# --- archives that are here ---


def test_an_archive_becomes_a_folder_in_the_store(bench: Bench) -> None:
    tree, report = bench.unpack(b"#!/bin/sh")
    assert report == Unpacked(tree)
    assert (bench.holdings.path(tree) / "bin" / "tool").read_bytes() == b"#!/bin/sh"


def test_an_archive_that_unpacks_to_more_than_there_is_room_for_leaves_nothing(bench: Bench) -> None:
    tree, report = bench.unpack(bytes(60_000_000))
    assert isinstance(report, Unpacked)
    assert report.disk_full
    assert "tools.tar.gz" in report.message
    assert "unpacks to more than" in report.message, "all of it was written first"
    assert not bench.store.has(tree)
    assert bench.store.used_bytes < 100_000


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"no tar", "no tar archive (plain, gz, bz2, xz or zst)"),
        (b"\x1f\x8b\x08 no gz", "it is damaged"),
    ],
)
def test_what_cannot_be_unpacked_is_named_as_its_user_knows_it(bench: Bench, content: bytes, complaint: str) -> None:
    (bench.folder / "a").write_bytes(content)
    key, _manifest = bench.holdings.adopt(bench.folder / "a")
    bench.unpacking.start(StartUnpack(derived_id("untar", key), key, "untar of /data/a.zip"))
    report = bench.report()
    assert isinstance(report, Unpacked)
    assert report.message.startswith("untar of /data/a.zip could not be unpacked: it is ")
    assert complaint in report.message
    assert str(bench.folder) not in report.message


# --- archives that arrive ---


def test_files_are_there_before_their_archive_is_and_the_folder_after_it(bench: Bench, plain: Path) -> None:
    # given an archive of which half has come
    arrival = bench.begin(plain)
    arrival.write(*range(6))
    # then its files are unpacked, and the folder is not there
    arrival.until_unpacked(5)
    assert len(arrival.unpacked) < 12
    assert not bench.store.has(arrival.tree)
    assert bench.quiet
    # when all has come, then it is, with all files
    arrival.complete()
    assert bench.report() == Unpacked(arrival.tree)
    assert len(list(bench.holdings.path(arrival.tree).iterdir())) == 12
    assert not arrival.folder.exists()


def test_chunks_behind_a_gap_do_not_count(bench: Bench, plain: Path) -> None:
    arrival = bench.begin(plain)
    arrival.write(0, 1, 3, 4, 5, 6, 7)
    arrival.until_unpacked(2)
    arrival.write(2)
    arrival.until_unpacked(7)
    arrival.complete()
    assert bench.report() == Unpacked(arrival.tree)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), compression=st.sampled_from(["packed", "gz", "bz2", "xz", "plain"]))
def test_whatever_the_order_of_the_chunks_what_was_packed_is_unpacked(
    data: st.DataObject, compression: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given an archive of several chunks
    root = tmp_path_factory.mktemp("order")
    (root / "tree").mkdir()
    files = {f"{n}": random.Random(n).randbytes(300_000) for n in range(4)}
    for name, content in files.items():
        (root / "tree" / name).write_bytes(content)
    if compression == "packed":
        pack_tree(root / "tree", root / "archive")
    else:
        with tarfile.open(root / "archive", "w:" if compression == "plain" else f"w:{compression}") as archive:  # type: ignore[call-overload]
            archive.add(root / "tree", ".")
    bench = Bench(root, 50_000_000)
    arrival = bench.begin(root / "archive")
    # when they come in any order
    arrival.write(*data.draw(st.permutations(range(len(arrival.made.chunks)))))
    arrival.complete()
    # then
    assert bench.report() == Unpacked(arrival.tree)
    assert {path.name: path.read_bytes() for path in bench.holdings.path(arrival.tree).iterdir()} == files
    bench.close()


def test_what_is_unpacked_is_not_kept_before_the_last_of_its_archive_is_verified(bench: Bench, tmp_path: Path) -> None:
    # given an archive that ends long before its file does, and all but the last chunk of it
    archive = archive_of(tmp_path / "a.tar", ("f", FILE, b"x" * 300_000))
    with archive.open("ab") as file:
        file.write(b"\0" * 1_000_000)
    arrival = bench.begin(archive)
    arrival.write(*range(len(arrival.made.chunks) - 1))
    # when it is unpacked
    arrival.until_unpacked(1)
    until(lambda: not bench.processes(), "its process has ended")
    # then the folder waits for that chunk
    assert bench.quiet
    assert not bench.store.has(arrival.tree)
    arrival.complete()
    assert bench.report() == Unpacked(arrival.tree)


def test_an_altered_chunk_never_reaches_what_is_unpacked(bench: Bench, plain: Path) -> None:
    # given a transfer that brings an altered chunk among good ones
    arrival = bench.begin(plain)
    landing = Landing(arrival.partial, arrival.made.manifest)
    altered = bytes(byte ^ 1 for byte in arrival.made.chunks[2])
    assert landing.write(0, arrival.made.chunks[0])
    assert landing.write(1, arrival.made.chunks[1])
    assert not landing.write(2, altered)
    assert landing.write(3, arrival.made.chunks[3])
    arrival.until_unpacked(1)
    # when the good one has come too
    assert landing.write(2, arrival.made.chunks[2])
    arrival.complete()
    # then every file is what was packed
    assert bench.report() == Unpacked(arrival.tree)
    for path in bench.holdings.path(arrival.tree).iterdir():
        assert path.read_bytes() == (bench.folder / "tree" / path.name).read_bytes()


REFUSED: dict[str, Entry] = {"leaves its folder": ("../x", FILE, b""), "is too large": ("f", FILE, bytes(60_000_000))}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_refused_in_what_has_come_is_told_while_the_rest_still_comes(
    bench: Bench, tmp_path: Path, fault: str
) -> None:
    # given an archive with a member at its beginning that is refused
    rest: list[Entry] = [(f"{number}", FILE, random.Random(number).randbytes(300_000)) for number in range(5)]
    content = archive_of(tmp_path / "a.tar", REFUSED[fault], *rest).read_bytes()
    (tmp_path / "a").write_bytes(gzip.compress(content))
    arrival = bench.begin(tmp_path / "a")
    # when the beginning has come, then that is told, and nothing is left
    arrival.write(*range(3))
    report = bench.report()
    assert isinstance(report, Unpacked)
    assert "env could not be unpacked" in report.message
    assert report.disk_full is (fault == "is too large")
    assert not arrival.folder.exists()
    # and nothing more when the rest has come
    arrival.complete()
    assert bench.quiet


# --- ends before the end ---


def test_one_that_is_stopped_leaves_no_process_and_no_folder(bench: Bench, plain: Path) -> None:
    arrival = bench.begin(plain)
    arrival.write(0, 1)
    arrival.until_unpacked(1)
    bench.unpacking.stop(StopUnpack(arrival.tree))
    assert bench.report() == Unpacked(arrival.tree, cut=True)
    assert not bench.processes()
    assert not arrival.folder.exists()


def test_one_whose_archive_was_discarded_ends_and_the_next_begins_anew(bench: Bench, plain: Path) -> None:
    # given an unpacking, and a transfer that ends for good
    arrival = bench.begin(plain)
    arrival.write(0, 1)
    arrival.until_unpacked(1)
    arrival.partial.discard()
    # then it ends
    assert bench.report() == Unpacked(arrival.tree, cut=True)
    assert not arrival.folder.exists()
    # when another transfer brings the archive, then the folder comes of that alone
    again = bench.begin(plain)
    again.complete()
    assert bench.report() == Unpacked(again.tree)


def test_one_that_is_all_unpacked_and_waits_for_the_archive_is_stopped_too(bench: Bench, plain: Path) -> None:
    arrival = bench.begin(plain)
    arrival.write(*range(len(arrival.made.chunks)))
    arrival.until_unpacked(12)
    bench.unpacking.stop(StopUnpack(arrival.tree))
    assert bench.report() == Unpacked(arrival.tree, cut=True)
    assert not arrival.folder.exists()


def test_an_archive_that_came_before_its_unpacking_began_is_unpacked_from_where_it_lies(
    bench: Bench, plain: Path
) -> None:
    key, _manifest = bench.holdings.adopt(plain)
    tree = derived_id("untar", key)
    bench.unpacking.start(StartUnpack(tree, key, "env", ahead=True))
    bench.unpacking.archive_came(ArchiveCame(tree))
    assert bench.report() == Unpacked(tree)


@pytest.mark.parametrize("begun", [True, False])
def test_one_whose_archive_came_by_another_way_than_what_it_reads_begins_anew(
    bench: Bench, plain: Path, begun: bool
) -> None:
    # given an unpacking of an archive of which a transfer has brought a part, and will not bring the rest
    arrival = bench.begin(plain)
    if begun:
        arrival.write(0, 1)
        arrival.until_unpacked(1)
    # when a download has brought all of it
    key, _manifest = bench.holdings.adopt(plain)
    bench.unpacking.archive_came(ArchiveCame(arrival.tree))
    # then it does not wait for the transfer, and the next one reads what is here
    assert key == arrival.made.key
    assert bench.report() == Unpacked(arrival.tree, cut=True)
    bench.unpacking.start(StartUnpack(arrival.tree, key, "env"))
    assert bench.report() == Unpacked(arrival.tree)
    assert len(list(bench.holdings.path(arrival.tree).iterdir())) == 12


def test_an_archive_that_is_gone_again_before_its_unpacking_began_is_waited_for(bench: Bench) -> None:
    tree, archive = ObjectId("d" * 64), ObjectId("a" * 64)
    bench.unpacking.start(StartUnpack(tree, archive, "env", ahead=True))
    assert bench.report() == Unpacked(tree, cut=True)


def test_those_that_wait_for_bytes_do_not_hold_up_those_that_need_not(bench: Bench, plain: Path, packed: Path) -> None:
    for archive in (plain, packed):
        bench.begin(archive)
    tree, report = bench.unpack(b"#!/bin/sh")
    assert report == Unpacked(tree)


def test_the_end_of_the_worker_leaves_nothing_half_unpacked(tmp_path: Path, plain: Path) -> None:
    bench = Bench(tmp_path, 50_000_000)
    arrival = bench.begin(plain)
    arrival.write(0, 1)
    arrival.until_unpacked(1)
    bench.close()
    assert not bench.processes()
    assert not bench.store.root.exists()


# --- with other workers of the host ---


def test_what_a_mate_unpacks_is_waited_for_and_had_once(bench: Bench) -> None:
    # given another worker of the host that is unpacking an archive
    mate = Store(bench.store.root, 50_000_000)
    tree, archive = ObjectId("d" * 64), ObjectId("a" * 64)
    folder = mate.begin_tree(tree)
    (folder / "data").write_bytes(b"data")
    # when this one is to unpack it as well, then it does not begin (the archive is not even here)
    bench.unpacking.start(StartUnpack(tree, archive, "data.tar"))
    assert bench.quiet
    mate.commit_tree(tree, contents_of(folder))
    assert bench.report() == Unpacked(tree)
    assert bench.holdings.path(tree) == mate.path(tree)
    mate.leave()


def test_what_a_killed_mate_was_unpacking_is_unpacked_here(bench: Bench, plain: Path) -> None:
    mate = Store(bench.store.root, 50_000_000)
    key, _manifest = bench.holdings.adopt(plain)
    tree = derived_id("untar", key)
    (mate.begin_tree(tree) / "half").write_bytes(b"x")
    assert bench.store.is_made_elsewhere(tree)
    mate.abandon()
    bench.unpacking.start(StartUnpack(tree, key, "data.tar"))
    assert bench.report() == Unpacked(tree)
    assert len(list(bench.holdings.path(tree).iterdir())) == 12
