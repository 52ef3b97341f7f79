"""Are files where they were asked to be before any task asks, and does a file outlive the worker that made it?"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import vine
from tests.live.helpers import Site, a_site, check_message, done, lines_of, on
from tests.waiting import GIVE_UP_S, until
from vine import errors

SIZE = 16 << 20
WORKERS = ("w0", "w1", "w2")


def held(site: Site) -> dict[str, list[str]]:
    """sha256 of each object in each worker's store."""
    return {name: sorted(_digests(worker.objects.values())) for name, worker in site.workers.items()}


def _digests(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        try:
            yield hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            continue  # It went while we looked: it is not held.


def moved_bytes(site: Site) -> int:
    found = site.status()
    return int(found["bytes_from_manager"] + found["bytes_from_peers"])


def test_a_broadcast_file_is_on_all_workers_before_a_task_asks_and_none_waits_for_it(tmp_path: Path) -> None:
    # given a file and three workers, each a host of its own
    data = os.urandom(SIZE)
    (tmp_path / "large.bin").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    with a_site(tmp_path / "site", WORKERS) as site, site.client() as manager:
        file = manager.declare_file(tmp_path / "large.bin")
        # when
        assert manager.broadcast(file).result(GIVE_UP_S) == 3
        # then all have it, and vine-status tells
        assert held(site) == {name: [digest] for name in WORKERS}
        until(lambda: moved_bytes(site) == 3 * SIZE, "the figures are in vine-status")
        (shown,) = site.status()["broadcasts"]
        assert (shown["label"], shown["have"], shown["wanted"], shown["bytes"]) == (file.label, 3, 3, SIZE)
        assert 0 < shown["of_bound"] <= 1 and shown["bytes_per_s"] > 0
        # and tasks run there without a transfer
        tasks = [on(name, vine.Task("sha256sum large")) for name in WORKERS]
        for task in tasks:
            task.add_input(file, "large")
        done(manager, *tasks)
        assert [task.std_output.split() for task in tasks] == [[digest, "large"]] * 3
        assert moved_bytes(site) == 3 * SIZE
        # and one that joins gets it unasked
        site.worker("late")
        until(lambda: held(site)["late"] == [digest], "the worker that has joined has it")


def test_an_archive_is_unpacked_everywhere_and_named_workers_are_checked(tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hello")
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "greeting", "greeting")
    with a_site(tmp_path / "site", ("w0", "w1")) as site, site.client() as manager:
        tree = manager.declare_untar(manager.declare_file(tmp_path / "archive.tar.gz"))
        assert manager.broadcast(tree, ["w1"]).result(GIVE_UP_S) == 1
        assert [path.name for path in site.workers["w1"].workspace.rglob("greeting")] == ["greeting"]
        assert not site.workers["w0"].objects
        error = manager.broadcast(tree, ["w8"]).exception(GIVE_UP_S)
        check_message(error, errors.BroadcastFailed, "w8", "connected are: w0, w1")
        with pytest.raises(errors.FileMissing):
            manager.broadcast(manager.declare_file(tmp_path / "absent")).result(GIVE_UP_S)


def test_a_replicated_temp_outlives_the_worker_that_made_it(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with a_site(tmp_path / "site", WORKERS) as site, site.client() as manager:
        # given a temp of which two copies are kept
        temp = manager.declare_temp()
        manager.replicate(temp, 2)
        producer = vine.Task(f"echo made >> {notes}; head -c {SIZE} /dev/urandom > out")
        producer.add_output(temp, "out")
        done(manager, producer)
        until(lambda: sum(bool(digests) for digests in held(site).values()) == 2, "there are two copies")
        # when its maker is killed
        assert producer.worker is not None
        site.workers.pop(producer.worker).kill()
        # then it is on two workers again, and its consumer takes what was made at first
        until(lambda: all(digests for digests in held(site).values()), "there are two copies again")
        consumer = vine.Task("wc -c < in")
        consumer.add_input(temp, "in")
        done(manager, consumer)
        assert consumer.std_output.split() == [str(SIZE)]
        assert lines_of(notes) == ["made"]
        # and when it is pruned it goes
        manager.prune_file(temp)
        until(lambda: not any(held(site).values()), "no worker has it any more")


@pytest.mark.parametrize("first", WORKERS[:2])
def test_inputs_of_tasks_that_wait_are_on_workers_before_their_slots_come_free(tmp_path: Path, first: str) -> None:
    with a_site(tmp_path / "site", WORKERS[:2]) as site, site.client() as manager:
        # given two workers whose one slot is taken
        releases = {name: tmp_path / f"release-{name}" for name in WORKERS[:2]}
        blockers = [
            on(name, vine.Task(f"until test -e {path}; do sleep 0.05; done")) for name, path in releases.items()
        ]
        for blocker in blockers:
            manager.submit(blocker)
        # when tasks with an input each wait behind that
        tasks = {}
        for name in ("one", "two"):
            (tmp_path / name).write_bytes(data := os.urandom(SIZE))
            task = vine.Task("sha256sum < in")
            task.add_input(manager.declare_file(tmp_path / name), "in")
            tasks[hashlib.sha256(data).hexdigest()] = task
            manager.submit(task)
        # then each input comes to a worker meanwhile, once
        until(lambda: {digest for some in held(site).values() for digest in some} == set(tasks), "the inputs are there")
        assert all(len(some) == 1 for some in held(site).values())
        until(lambda: moved_bytes(site) == 2 * SIZE, "the figures are in vine-status")
        # and the slot that comes free runs the task whose input it has. (Then it asks for the other's input too, while
        # the other slot is still taken: which is why both are not released at once.)
        (there,) = held(site)[first]
        releases[first].touch()
        ended = [manager.wait(GIVE_UP_S) for _ in range(2)]
        assert ended == [blockers[WORKERS.index(first)], tasks[there]]
        for path in releases.values():
            path.touch()
        assert all(manager.wait(GIVE_UP_S) is not None for _ in range(2))
        assert [task.std_output.split()[0] for task in tasks.values()] == list(tasks)
