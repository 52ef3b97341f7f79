"""How does one large file come to all workers: from the manager once, from peers for the rest."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import vine
from tests.live.helpers import Site, a_site, done, on
from tests.waiting import until
from vine.manager.journal import file_name

SIZE = 64 << 20
WORKERS = ("w0", "w1", "w2", "w3")


@dataclass
class Spread:
    site: Site
    digest: str
    tasks: list[vine.Task]
    status: dict[str, Any]
    held: dict[str, list[str]]  # worker -> sha256 of each object in its store


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spread]:
    """A 64 MiB file that four workers, each a host of its own, have needed at the same time."""
    folder = tmp_path_factory.mktemp("broadcast")
    data = os.urandom(SIZE)
    (folder / "large.bin").write_bytes(data)
    with a_site(folder / "site", WORKERS) as site, site.client() as manager:
        file = manager.declare_file(folder / "large.bin")
        tasks = [on(name, vine.Task("sha256sum large")) for name in WORKERS]
        for task in tasks:
            task.add_input(file, "large")
        done(manager, *tasks)
        status = until(lambda: _all_told(site), "the figures of all four copies are in vine-status")
        held = {
            name: [hashlib.sha256(path.read_bytes()).hexdigest() for path in worker.objects.values()]
            for name, worker in site.workers.items()
        }
        yield Spread(site, hashlib.sha256(data).hexdigest(), tasks, status, held)


def _all_told(site: Site) -> dict[str, Any] | None:
    found = site.status()
    received = sum(worker["received_bytes"] for worker in found["workers"])
    sent = found["manager"]["sent_bytes"] + sum(worker["sent_bytes"] for worker in found["workers"])
    moved = found["bytes_from_manager"] + found["bytes_from_peers"]
    return found if min(moved, received, sent) >= len(WORKERS) * SIZE else None


def test_each_of_four_workers_reads_the_true_bytes(spread: Spread) -> None:
    assert [task.worker for task in spread.tasks] == list(WORKERS)
    for task in spread.tasks:
        assert task.std_output.split() == [spread.digest, "large"]


def test_each_worker_holds_a_copy_of_its_own_on_disk(spread: Spread) -> None:
    assert spread.held == {name: [spread.digest] for name in WORKERS}


def test_the_manager_uploads_the_file_at_most_three_times_and_peers_do_the_rest(spread: Spread) -> None:
    from_manager, from_peers = spread.status["bytes_from_manager"], spread.status["bytes_from_peers"]
    assert from_manager <= 3 * SIZE
    assert from_peers >= SIZE
    assert from_manager + from_peers == len(WORKERS) * SIZE


def test_a_broadcast_costs_the_manager_one_copy(spread: Spread) -> None:
    assert spread.status["bytes_from_manager"] == SIZE
    # What its socket has sent, so that no upload escapes the books.
    assert SIZE <= spread.status["manager"]["sent_bytes"] < 1.1 * SIZE


def test_the_journal_knows_the_object_that_the_workers_hold(spread: Spread) -> None:
    with sqlite3.connect(f"file:{spread.site.run_dir / file_name}?mode=ro", uri=True) as journal:
        known = [object_id for (object_id,) in journal.execute("SELECT object_id FROM objects")]
    assert {tuple(worker.objects) for worker in spread.site.workers.values()} == {tuple(known)}
