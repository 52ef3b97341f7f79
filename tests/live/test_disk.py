"""Do workers keep their budget of disk, and what of it do the workers after them find?"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

import vine
from tests.live.helpers import Site, a_site, done, lines_of, objects_in
from tests.waiting import until
from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.environments.pack import pack_tree

MB = 1_000_000


def reading(file: vine.File, *more: vine.File) -> vine.Task:
    task = vine.Task("cat input* | sha256sum")
    task.set_cores(0.5)
    for number, one in enumerate((file, *more)):
        task.add_input(one, f"input{number}")
    return task


def sums(tasks: list[vine.Task]) -> list[str]:
    assert [task.error for task in tasks] == [None] * len(tasks)
    return [task.std_output.split()[0] for task in tasks]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_tasks_whose_inputs_together_exceed_the_disk_all_run_and_what_a_task_has_made_stays(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"], "--disk", 30) as site, site.client() as manager:
        # given a file that only this worker has, and inputs of three times its disk
        kept, runs = manager.declare_temp(), tmp_path / "runs"
        maker = vine.Task(f"echo run >> {runs}; head -c {5 * MB} /dev/zero > made")
        maker.add_output(kept, "made")
        (made,) = done(manager, maker)
        assert made.successful()
        contents = [os.urandom(8 * MB) for _ in range(12)]
        files = [manager.declare_buffer(data) for data in contents]
        # when two tasks at a time read them
        tasks = done(manager, *(reading(file) for file in files))
        # then each has seen its own bytes, and the disk's budget was kept
        assert sorted(sums(tasks)) == sorted(map(sha256, contents))
        assert sum(path.stat().st_size for path in site.workers["w0"].objects.values()) <= 30 * MB
        # and the file that nobody else has is still there
        assert sums(done(manager, reading(kept, files[0]))) == [sha256(bytes(5 * MB) + contents[0])]
        assert lines_of(runs) == ["run"]


def test_tasks_that_would_take_the_room_from_each_other_run_one_after_the_other(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"], "--disk", 30) as site, site.client() as manager:
        contents = [os.urandom(10 * MB) for _ in range(8)]
        files = [manager.declare_buffer(data) for data in contents]
        tasks = done(manager, *(reading(*files[at : at + 2]) for at in range(0, 8, 2)))
        assert sorted(sums(tasks)) == sorted(sha256(contents[at] + contents[at + 1]) for at in range(0, 8, 2))


def test_a_worker_that_starts_where_another_was_killed_goes_on_with_what_that_had(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"]) as site, site.client() as manager:
        # given a worker that has received a file, and is killed
        data = os.urandom(20 * MB)
        file = manager.declare_buffer(data)
        sums(done(manager, reading(file)))
        site.workers["w0"].kill()
        # when another one is started in its place
        other = site.worker("w1", "--workspace", site.workers["w0"].workspace, "--host-name", "host-w0")
        until(lambda: other.pid in holders(site), "it has told what it has found")
        # then its tasks find the file without another transfer
        before = site.status()["transfers_done"]
        assert sums(done(manager, reading(file))) == [sha256(data)]
        assert site.status()["transfers_done"] == before


def holders(site: Site) -> set[int]:
    """The processes that have told that they hold something."""
    return {worker["pid"] for worker in site.status()["workers"] if worker["objects"]}


@pytest.mark.parametrize("end", ["in order", "killed"])
def test_what_is_kept_for_ever_is_there_for_the_next_run(end: str, tmp_path: Path) -> None:
    # given a run whose worker has kept one of two files
    (tmp_path / "data").write_bytes(data := os.urandom(10 * MB))
    workspace = tmp_path / "workspace"
    here = ("--workspace", workspace, "--host-name", "here")
    with a_site(tmp_path / "first", ["w0"], *here) as site, site.client() as manager:
        forever = manager.declare_file(tmp_path / "data", cache="forever")
        other = manager.declare_buffer(os.urandom(MB))
        sums(done(manager, reading(forever, other)))
        if end == "killed":
            site.workers["w0"].kill()
    # then nothing else is left, but for the folder of one that was killed, which the next worker removes
    left = [f"vine-store-{os.geteuid()}-here"] + ["vine-worker-w0"] * (end == "killed")
    assert sorted(os.listdir(workspace)) == left
    # when another run's worker starts there
    with a_site(tmp_path / "second", ["w1"], *here) as site, site.client() as manager:
        until(lambda: holders(site), "what it has found is told")
        again = manager.declare_file(tmp_path / "data", cache="forever")
        # then it has that file already, and nothing else
        assert sums(done(manager, reading(again))) == [sha256(data)]
        assert (site.status()["bytes_from_manager"], site.status()["transfers_done"]) == (0, 0)
        assert set(objects_in(workspace)) == {object_id(manifest_of_bytes(data))}


def test_what_was_unpacked_and_is_kept_for_ever_is_not_unpacked_again(tmp_path: Path) -> None:
    # given a run whose worker has unpacked an archive, and both are kept
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "data").write_bytes(os.urandom(MB))
    archive = pack_tree(tmp_path / "tree", tmp_path / "tree.tar.zst")
    here, inodes = ("--workspace", tmp_path / "workspace", "--host-name", "here"), []
    for run, worker in enumerate(("w0", "w1")):
        with a_site(tmp_path / f"run{run}", [worker], *here) as site, site.client() as manager:
            if run:
                until(lambda: holders(site), "what it has found is told")
            # when a task needs what is unpacked, in that run and in the next one
            packed = manager.declare_file(archive, cache="forever")
            task = vine.Task("stat -L -c %i tree/data")
            task.add_input(manager.declare_untar(packed, cache="forever"), "tree")
            (ended,) = done(manager, task)
            inodes.append(ended.std_output)
            moved = site.status()["bytes_from_manager"]
    # then it is the same file, and nothing had to be brought for it
    assert inodes[0] == inodes[1] != ""
    assert moved == 0
