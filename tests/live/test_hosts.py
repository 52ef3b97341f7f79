"""Do the workers of one host share what each of them has, and does it survive any of them?"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import vine
from tests.live.helpers import Site, a_site, done, objects_in, on
from tests.waiting import GIVE_UP_S, until
from vine import config

MB = 1_000_000


@contextmanager
def one_host(folder: Path, *options: object) -> Iterator[tuple[Site, vine.Manager, Path]]:
    """Two workers of one machine and workspace."""
    workspace = folder / "workspace"
    here = ("--workspace", workspace, "--host-name", "here", *options)
    with a_site(folder / "site", ["w0", "w1"], *here) as site, site.client() as manager:
        yield site, manager, workspace


def reading(file: vine.File) -> vine.Task:
    task = vine.Task("sha256sum < input")
    task.add_input(file, "input")
    return task


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sum_of(task: vine.Task) -> str:
    assert task.error is None, task.error
    return task.std_output.split()[0]


def test_what_one_worker_has_fetched_is_there_for_its_mate(tmp_path: Path) -> None:
    with one_host(tmp_path) as (site, manager, workspace):
        # given a file that one worker has fetched
        data = os.urandom(20 * MB)
        file = manager.declare_buffer(data)
        (first,) = done(manager, on("w0", reading(file)))
        # when its mate runs a task on it
        (second,) = done(manager, on("w1", reading(file)))
        # then both have read it, and it came over the network once, and lies on the disk once
        assert sum_of(first) == sum_of(second) == sha256(data)
        until(lambda: site.status()["transfers_done"] == 2, "the views know of both")
        found = site.status()
        assert found["bytes_from_manager"] + found["bytes_from_peers"] == len(data)
        assert (
            sum(path.stat().st_size for path in objects_in(workspace).values() if path.stat().st_size >= MB) == 20 * MB
        )


def test_what_a_task_has_made_is_there_for_the_mate_of_its_worker(tmp_path: Path) -> None:
    with one_host(tmp_path) as (site, manager, _workspace):
        made = manager.declare_temp()
        maker = vine.Task(f"head -c {5 * MB} /dev/zero > made")
        maker.add_output(made, "made")
        done(manager, on("w0", maker))
        (task,) = done(manager, on("w1", reading(made)))
        assert sum_of(task) == sha256(bytes(5 * MB))
        found = site.status()
        assert found["bytes_from_manager"] + found["bytes_from_peers"] == 0


def test_an_archive_is_unpacked_once_for_all_workers_of_a_host(tmp_path: Path) -> None:
    with one_host(tmp_path) as (_site, manager, workspace):
        (tmp_path / "data").write_bytes(os.urandom(3 * MB))
        with tarfile.open(tmp_path / "data.tar", "w") as archive:
            archive.add(tmp_path / "data", "data")
        tree = manager.declare_untar(manager.declare_file(tmp_path / "data.tar"))
        places = []
        for worker in ("w0", "w1"):
            task = vine.Task("stat -L -c '%d %i' tree/data; sha256sum < tree/data")
            task.add_input(tree, "tree")
            (task,) = done(manager, on(worker, task))
            assert task.error is None
            places.append(task.std_output)
        assert places[0] == places[1], "both have read the same file"
        assert len([path for path in objects_in(workspace).values() if path.is_dir()]) == 1


def test_what_a_killed_worker_was_receiving_its_mate_gets(tmp_path: Path) -> None:
    with one_host(tmp_path) as (site, manager, workspace):
        # given a worker that is killed while it receives a file
        data = os.urandom(150 * MB)
        file = manager.declare_buffer(data)
        manager.submit(on("w0", reading(file)))
        until(lambda: list(workspace.glob("vine-store-*/partial/*")), "it receives")
        site.workers["w0"].kill()
        # when its mate needs the file
        task = on("w1", reading(file))
        manager.submit(task)
        until(lambda: manager.wait(GIVE_UP_S) is task, "it ends, whatever becomes of the other one")
        # then that has it, and nothing is left of what was half here
        assert sum_of(task) == sha256(data)
        assert not list(workspace.glob("vine-store-*/partial/*"))


def test_two_workers_keep_their_common_budget_and_both_go_on(tmp_path: Path) -> None:
    with one_host(tmp_path, "--disk", 20) as (_site, manager, workspace):
        contents = [os.urandom(8 * MB) for _ in range(10)]
        files = [manager.declare_buffer(data) for data in contents]
        for file in files:
            manager.submit(reading(file))
        sums = set()
        for _ in files:
            task = manager.wait(GIVE_UP_S)
            assert task is not None
            sums.add(sum_of(task))
            assert sum(size_of(path) for path in objects_in(workspace).values()) <= 40 * MB
        assert sums == set(map(sha256, contents))


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # Given up meanwhile.


def test_an_input_that_a_task_alters_is_kept_from_the_tasks_of_the_mate(tmp_path: Path) -> None:
    with one_host(tmp_path, "--protect", "check") as (_site, manager, _workspace):
        data = os.urandom(2 * MB)
        file = manager.declare_buffer(data)
        for worker in ("w0", "w1"):
            assert sum_of(*done(manager, on(worker, reading(file)))) == sha256(data)
        vandal = vine.Task("chmod +w $(readlink input) && echo altered >> input")
        vandal.add_input(file, "input")
        (vandal,) = done(manager, on("w0", vandal))
        assert not vandal.successful()
        for worker in ("w1", "w0"):
            assert sum_of(*done(manager, on(worker, reading(file)))) == sha256(data)


def test_the_store_of_a_host_goes_with_its_last_worker(tmp_path: Path) -> None:
    with one_host(tmp_path) as (site, manager, workspace):
        file = manager.declare_buffer(os.urandom(MB))
        done(manager, on("w0", reading(file)))
        for worker in site.workers.values():
            assert objects_in(workspace)
            worker.process.terminate()
            assert worker.wait() == 0
        assert list(workspace.iterdir()) == []


def test_of_a_changed_folder_only_what_has_changed_is_fetched(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"]) as site, site.client() as manager:
        # given a worker that has a folder of 20 MB
        folder = tmp_path / "folder"
        folder.mkdir()
        for number in range(20):
            (folder / f"{number:02}").write_bytes(os.urandom(MB))

        def read() -> str:
            task = vine.Task("cat folder/* | sha256sum")
            task.add_input(manager.declare_file(folder), "folder")
            return sum_of(*done(manager, task))

        def content() -> bytes:
            return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))

        assert read() == sha256(content())
        until(lambda: site.status()["transfers_done"] == 1, "the views know of it")
        before = site.status()["bytes_from_manager"]
        # when one file of it changes
        (folder / "07").write_bytes(os.urandom(MB))
        # then the task on it reads what it is now, and little more than that file has come
        assert read() == sha256(content())
        until(lambda: site.status()["transfers_done"] == 2, "the views know of it")
        assert before == 20 * MB
        assert MB <= site.status()["bytes_from_manager"] - before <= MB + 2 * config.chunk_bytes_small
