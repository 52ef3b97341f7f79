from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.views.journaled import JournaledWorld
from vine.errors import UsageError
from vine.names import FileId, TaskId
from vine.views.reading import open_run
from vine.views.why import why
from vine.wire import messages as m
from vine.wire.parts import FileKind, Outcome, Policy, Request


def asked(world: JournaledWorld, task_id: int) -> list[str]:
    with open_run(world.save()) as run:
        return why(run, str(task_id))


def test_a_task_waits_for_the_results_of_others(world: JournaledWorld) -> None:
    first, second = world.submit(label="load"), world.submit(label="clean")
    third = world.submit(depends=(first, second), label="fit")
    assert asked(world, third) == [
        f"task {third} (fit): waiting: waits for 2 results and files",
        f"  waits for the result of task {first} (load), which is ready",
        f"  waits for the result of task {second} (clean), which is ready",
    ]


def test_a_task_waits_for_its_start_time(world: JournaledWorld) -> None:
    task = world.submit(label="later", policy=Policy(starts_at_s=time.time() + 1000))
    (line,) = asked(world, task)
    assert line.startswith(f"task {task} (later): waiting: waits for its start time, which is in ")


def test_results_that_are_there_are_waited_for_no_more(world: JournaledWorld) -> None:
    first = world.submit(label="load")
    world.join()
    world.settle()
    world.lose("w2")
    second = world.submit(label="clean")
    third = world.submit(depends=(first, second), label="fit")
    assert asked(world, third) == [
        f"task {third} (fit): waiting: waits for the result of task {second} (clean), which is ready"
    ]


def test_a_task_waits_for_a_file_that_the_client_still_hashes(world: JournaledWorld) -> None:
    file_id = world.local_file(bind=False, label="/data/big")
    task = world.submit(inputs=(file_id,))
    assert asked(world, task) == [
        f"task {task}: waiting: waits for /data/big, which is being read and hashed by the client"
    ]


def test_a_task_waits_for_a_url_that_a_worker_downloads(world: JournaledWorld) -> None:
    url = world.url("https://example.org/data")
    tasks = [world.submit(inputs=(file_id,)) for file_id in (url, world.untar(url))]
    assert asked(world, tasks[0]) == [
        f"task {tasks[0]}: waiting: waits for https://example.org/data, which a worker is to download, and none is free"
    ]
    world.join("w1")
    world.now += 2
    for task in tasks:
        (said,) = asked(world, task)
        assert said.endswith("waits for https://example.org/data, which w1 downloads since 2.0 s")


def test_a_task_waits_for_a_url_whose_copies_were_lost(world: JournaledWorld) -> None:
    url = world.url("https://example.org/data")
    world.submit(inputs=(url,))
    world.join("w1")
    world.settle()
    world.lose("w1")
    task = world.submit(inputs=(url,))
    (said,) = asked(world, task)
    assert said.endswith("waiting: waits for https://example.org/data, which a worker is to download, and none is free")


def test_a_task_waits_for_an_archive_that_the_client_still_hashes(world: JournaledWorld) -> None:
    archive = world.local_file(bind=False, label="/data/env.tar")
    tree = world.declare(FileKind.UNTAR, source=archive, label="env.tar, unpacked")
    task = world.submit(inputs=(tree,))
    assert asked(world, task) == [f"task {task}: waiting: waits for env.tar, unpacked: its archive is not there yet"]


def test_a_task_waits_for_the_workers_that_its_client_awaits(world: JournaledWorld) -> None:
    world.say(m.AwaitWorkers(2))
    world.join("w1")
    task = world.submit()
    (said,) = asked(world, task)
    assert said == f"task {task}: waiting: waits for 2 workers to be connected, as its client has asked for; 1 are"


def test_a_task_waits_for_a_file_that_another_makes(world: JournaledWorld) -> None:
    temp = world.temp(label="temp")
    maker = world.submit(outputs=(temp,), label="make")
    task = world.submit(inputs=(temp,))
    assert asked(world, task) == [
        f"task {task}: waiting: waits for temp, which task {maker} (make) makes; that one is ready"
    ]


def test_a_task_waits_for_a_file_that_nobody_makes(world: JournaledWorld) -> None:
    task = world.submit(inputs=(world.temp(label="temp"),))
    assert asked(world, task) == [f"task {task}: waiting: waits for temp, which no submitted task makes"]


def test_a_task_waits_for_a_file_that_is_made_again(world: JournaledWorld) -> None:
    worker, temp = world.join("w1"), world.temp(label="temp")
    maker = world.submit(outputs=(temp,), label="make")
    world.settle()
    world.lose(worker.worker_id)
    task = world.submit(inputs=(temp,))
    assert asked(world, task) == [
        f"task {task}: waiting: waits for temp, which task {maker} (make) makes again, for its copies were lost;"
        " that one is ready"
    ]


def test_many_things_that_are_waited_for_are_counted(world: JournaledWorld) -> None:
    others = tuple(world.submit() for _ in range(12))
    lines = asked(world, world.submit(depends=others))
    assert lines[0].endswith("waits for 12 results and files")
    assert len(lines) == 12 and lines[-1] == "  and 2 more"


def test_a_ready_task_waits_for_a_worker(world: JournaledWorld) -> None:
    task = world.submit(label="inc")
    (line,) = asked(world, task)
    assert line.startswith(f"task {task} (inc): ready: waits for a worker: none is connected")


def test_a_ready_task_waits_for_room(world: JournaledWorld) -> None:
    world.join(cores=1)
    tasks = [world.submit() for _ in range(200)]
    ready = [task for task in tasks if world.state_of(task) == "ready"]
    assert ready
    (line,) = asked(world, ready[-1])
    assert line == f"task {ready[-1]}: ready: waits for room: all 1 workers that fit it are busy"


def test_a_ready_task_that_fits_nowhere_is_told_what_it_lacks(world: JournaledWorld) -> None:
    world.join(cores=1)
    task = world.submit(request=Request(cores=64))
    (line,) = asked(world, task)
    assert "no worker fits it: it asks for 64 cores" in line


def test_a_staged_task_waits_for_its_inputs(world: JournaledWorld) -> None:
    world.join("w1")
    task = world.submit(inputs=(world.local_file(label="/data/big"),))
    assert asked(world, task) == [f"task {task}: staged: w1 receives /data/big from manager"]


def test_a_staged_task_that_no_statistics_mention_yet_is_told_its_worker(world: JournaledWorld) -> None:
    world.join("w1")
    world.save()  # statistics that do not know the task
    task = world.submit(inputs=(world.local_file(label="/data/big"),))
    snapshot = world.core.snapshot
    world.core.snapshot = lambda now: {**snapshot(now), "staged": {}}  # type: ignore[method-assign]
    (line,) = asked(world, task)
    assert line.startswith(f"task {task}: staged: is assigned to w1: its inputs are on their way")


def test_a_running_task_is_told_its_worker(world: JournaledWorld) -> None:
    world.join("w1")
    task = world.submit()
    world.happen(world.possible_events()[0])
    assert asked(world, task) == [f"task {task}: running: runs on w1"]


def test_a_task_whose_result_comes_back_is_told_so(world: JournaledWorld) -> None:
    world.join("w1")
    world.large_values = True
    task = world.submit()
    while world.state_of(task) != "collecting":
        world.happen(world.possible_events()[0])
    (line,) = asked(world, task)
    assert line.startswith(f"task {task}: collecting: has ended on w1: the manager brings its results from there")


def test_a_task_that_has_ended_is_told_how(world: JournaledWorld) -> None:
    world.join("w1")
    good, bad = world.submit(label="good"), world.submit(label="bad")
    world.outcome = lambda a: Outcome.SUCCESS if a.task_id == good else Outcome.EXIT_CODE
    world.settle()
    assert asked(world, good) == [f"task {good} (good): done on w1 (success)"]
    (line,) = asked(world, bad)
    assert line.startswith(f"task {bad} (bad): failed on w1 (exit-code)")


@pytest.mark.parametrize("name", ["", "inc", "-1", "1.5", "99", str(1 << 70)])
def test_a_task_that_is_none_is_named(world: JournaledWorld, name: str) -> None:
    with open_run(world.save()) as run, pytest.raises(UsageError, match=name or "''"):
        why(run, name)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_every_task_that_waits_has_a_reason(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    world = JournaledWorld(tmp_path_factory.mktemp("run"), workers=data.draw(st.integers(0, 2)))
    tasks: list[TaskId] = []
    files: list[FileId] = [world.temp(), world.local_file("a"), world.local_file("b", bind=False), world.buffer()]
    files.append(world.untar(files[1]))
    for _ in range(data.draw(st.integers(1, 8))):
        inputs = data.draw(st.lists(st.sampled_from(files), unique=True, max_size=2))
        depends = data.draw(st.lists(st.sampled_from(tasks), unique=True, max_size=2)) if tasks else []
        outputs = []
        if data.draw(st.booleans()):
            outputs = [world.temp()]
        tasks.append(world.submit(tuple(inputs), tuple(outputs), tuple(depends)))
        files += outputs
        for _ in range(data.draw(st.integers(0, 5))):
            events = world.possible_events()
            if events:
                world.happen(data.draw(st.sampled_from(events)))
        if world.workers and data.draw(st.integers(0, 3)) == 0:
            world.lose(data.draw(st.sampled_from(sorted(world.workers))))
    with open_run(world.save()) as run:
        for task in tasks:
            first, *_ = why(run, str(task))
            record = world.core.state.tasks.by_id[task]
            assert first.startswith(f"task {task}: {record.state.value}"), (first, record)
            if record.state.value == "waiting":
                assert "waits for" in first, (first, record)
