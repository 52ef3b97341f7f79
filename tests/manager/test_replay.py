from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.manager.journals import MANIFEST, OBJECT, WORKER, life_of_a_call, temp, written
from vine.manager.replay import replay
from vine.names import AttemptId, FileId, TaskId, WorkerId
from vine.scheduler.categories import CategoryKey
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    CategorySet,
    FileDeclared,
    FileFailed,
    HostsSet,
    LibraryInstalled,
    LibraryRemoved,
    ObjectBound,
    Record,
    TaskEndedAgain,
    WorkerJoined,
    WorkerLeft,
)
from vine.scheduler.replayed import ReplayedClosing, ReplayedLibrary
from vine.wire.parts import (
    CacheLevel,
    CategoryMode,
    CategorySpec,
    FileKind,
    FileSpec,
    HostStanding,
    LibrarySpec,
    Measured,
    Outcome,
    Request,
    Resources,
)


def test_an_attempt_that_has_not_ended_is_named_with_its_worker(tmp_path: Path) -> None:
    path = written(tmp_path, life_of_a_call(1, 7)[:4])
    run = replay(path)
    assert run.tasks[TaskId(1)].attempts == ((AttemptId(1, 7), WORKER, True),)
    assert run.attempts_max == {1: 7}


def test_a_task_that_has_run_again_keeps_its_result_and_stands_as_it_ended_this_time(tmp_path: Path) -> None:
    again = AttemptId(1, 8)
    runs_again = [AttemptAssigned(again, TaskId(1), WORKER), AttemptStarted(again), AttemptEnded(again, Outcome.KILLED)]
    path = written(tmp_path, [*life_of_a_call(1, 7), *runs_again, TaskEndedAgain(TaskId(1), Outcome.KILLED)])
    task = replay(path).tasks[TaskId(1)]
    assert task.state == "failed"
    assert task.result is not None and task.result.outcome is Outcome.SUCCESS


def test_files_keep_their_content_its_maker_and_their_failure(tmp_path: Path) -> None:
    maker = AttemptId(1, 3)
    path = written(
        tmp_path,
        [
            FileDeclared(temp(1)),
            FileDeclared(temp(2)),
            FileDeclared(temp(3)),
            ObjectBound(FileId(1), OBJECT, MANIFEST, maker),
            ObjectBound(FileId(2), OBJECT, MANIFEST),
            FileFailed(FileId(3), Outcome.INPUT_MISSING, "no such file"),
        ],
    )
    run = replay(path)
    found = {file_id: (file.object_id, file.attempt, file.failure) for file_id, file in run.files.items()}
    assert found == {
        1: (OBJECT, maker, None),
        2: (OBJECT, None, None),
        3: (None, None, (Outcome.INPUT_MISSING, "no such file")),
    }
    assert run.manifests == {OBJECT: MANIFEST}


def test_a_file_knows_the_worker_of_its_maker_whether_that_has_ended_or_not(tmp_path: Path) -> None:
    has_ended, runs = AttemptId(1, 1), AttemptId(1, 2)
    records: list[Record] = []
    for number, attempt in enumerate([has_ended, runs], start=1):
        records += [
            FileDeclared(temp(number)),
            AttemptAssigned(attempt, TaskId(number), WorkerId(f"w{number}")),
            ObjectBound(FileId(number), OBJECT, MANIFEST, attempt),
        ]
    run = replay(written(tmp_path, [*records, AttemptEnded(has_ended, Outcome.SUCCESS)]))
    assert {file_id: file.worker_id for file_id, file in run.files.items()} == {1: "w1", 2: "w2"}


def test_a_url_keeps_where_it_leads_and_what_it_was(tmp_path: Path) -> None:
    spec = FileSpec(FileId(1), FileKind.URL, CacheLevel.FOREVER, "https://host/a", url="https://me:pass@host/a")
    run = replay(written(tmp_path, [FileDeclared(spec), ObjectBound(FileId(1), OBJECT, MANIFEST)]))
    assert (run.files[FileId(1)].spec, run.files[FileId(1)].object_id) == (spec, OBJECT)
    assert run.files[FileId(1)].attempt is None


def test_workers_that_left_are_known_no_more_but_their_rows_stay(tmp_path: Path) -> None:
    joined = WorkerJoined(WORKER, "node7", Resources(cores=4), "/logs/w1")
    other = WorkerJoined(WorkerId("w2"), "node8", Resources(cores=4), "/logs/w2")
    path = written(tmp_path, [joined, other, WorkerLeft(WORKER, "idle"), joined, WorkerLeft(WorkerId("w2"), "lost")])
    assert replay(path).workers == (WORKER,)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT worker_id, reason FROM workers ORDER BY joining").fetchall()
    assert rows == [("w1", "idle"), ("w2", "lost"), ("w1", None)]


def test_what_was_said_of_categories_and_hosts_is_known_as_it_was_said_last(tmp_path: Path) -> None:
    before, after = CategorySpec("fit"), CategorySpec("fit", CategoryMode.MAX, Request(memory_mb=100), concurrent_max=2)
    other = CategorySpec("fit", concurrent_max=1)
    path = written(
        tmp_path,
        [
            CategorySet(0, before),
            CategorySet(1, other),
            CategorySet(0, after),
            HostsSet(("node1", "node2"), HostStanding.BLOCKED, 60.0, 100.0),
            HostsSet(("node3",), HostStanding.DRAINING),
            HostsSet(("node2",), HostStanding.OPEN),
        ],
    )
    run = replay(path)
    assert run.categories == {CategoryKey(0, "fit"): after, CategoryKey(1, "fit"): other}
    assert run.closed_hosts == {
        "node1": ReplayedClosing(HostStanding.BLOCKED, 60.0, 100.0),
        "node3": ReplayedClosing(HostStanding.DRAINING),
    }


def test_libraries_are_known_though_they_were_removed(tmp_path: Path) -> None:
    kept = LibrarySpec(FileId(1), "kept", ("f", "g"), FileId(9), Request(cores=2), 4, False)
    gone = LibrarySpec(FileId(2), "gone", ("f",))
    run = replay(written(tmp_path, [LibraryInstalled(kept), LibraryInstalled(gone), LibraryRemoved(FileId(2))]))
    assert run.libraries == {FileId(1): ReplayedLibrary(kept, False), FileId(2): ReplayedLibrary(gone, True)}


def test_what_an_attempt_has_used_is_kept(tmp_path: Path) -> None:
    attempt = AttemptId(1, 1)
    ended = AttemptEnded(attempt, Outcome.SUCCESS, measured=Measured(1.5, 200.0, 30.0))
    records = [AttemptAssigned(attempt, TaskId(1), WORKER), ended]
    with sqlite3.connect(written(tmp_path, records)) as connection:
        assert connection.execute("SELECT cpu_s, memory_mb, disk_mb FROM attempts").fetchone() == (1.5, 200.0, 30.0)
