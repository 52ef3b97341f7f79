"""Does a task get what it asks for of a worker, and no more?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import GIVE_UP_S, Program, Site, a_site, check_message, command, done, the_error
from tests.waiting import until
from vine import config, errors
from vine.client.resources import TaskResources


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("resources") / "site", ["w0"], "--cores", 2, "--gpus", 2) as site:
        yield site


def test_tasks_that_run_beside_each_other_see_different_gpus(manager: vine.Manager) -> None:
    # Each says which it sees and waits for the other, so that both run at once.
    texts = [
        f"echo $CUDA_VISIBLE_DEVICES; touch {mine}; while [ ! -e {other} ]; do sleep 0.02; done; rm {other}"
        for mine, other in (("$D/a", "$D/b"), ("$D/b", "$D/a"))
    ]
    tasks = [vine.Task(text) for text in texts]
    for task in tasks:
        task.set_gpus(1)
        task.set_env_var("D", str(manager.run_directory))
    done(manager, *tasks)
    assert sorted(task.std_output for task in tasks) == ["0\n", "1\n"]


def test_a_task_is_told_what_it_was_given_and_gets_its_share_of_what_it_left_out(manager: vine.Manager) -> None:
    task = vine.Task("echo $CORES $MEMORY $DISK $GPUS $OMP_NUM_THREADS [$CUDA_VISIBLE_DEVICES]")
    task.set_cores(0.5)
    done(manager, task)
    assert task.std_output == "0.5 250 500 0 1 []\n"


def test_a_task_that_asks_for_nothing_has_the_worker_to_itself(manager: vine.Manager) -> None:
    (task,) = done(manager, vine.Task("echo $CORES $MEMORY $DISK"))
    assert task.std_output == "2 1000 2000\n"


def test_a_call_sees_its_gpu_too(manager: vine.Manager) -> None:
    executor = vine.Executor(manager).options(gpus=1, memory=100)
    seen = executor.submit(bodies.variable, "CUDA_VISIBLE_DEVICES").result(GIVE_UP_S)
    assert seen in ("0", "1")


# --- limits ---

# It rests with what it has until the worker, which looks a few times a second, has seen that.
HOG = "python3 -c 'import time; hog = bytearray(300_000_000); time.sleep(600)'"


def test_a_command_that_uses_more_memory_than_it_asked_for_is_killed_with_all_its_processes(
    manager: vine.Manager,
) -> None:
    task = vine.Task(f"({HOG}) & ({HOG}) & wait")
    task.set_memory(200)
    done(manager, task)
    check_message(the_error(task), errors.MemoryLimitExceeded, "its limit is 200 MB", "ask for more memory")
    assert task.result == "resource exhaustion"
    assert task.limits_exceeded == TaskResources(memory=200)
    assert (task.resources_measured.memory or 0) > 200


def test_a_command_that_writes_more_than_it_asked_for_is_killed(manager: vine.Manager) -> None:
    task = vine.Task("head -c 50000000 /dev/zero > big; sleep 600")
    task.set_disk(20)
    done(manager, task)
    check_message(the_error(task), errors.DiskLimitExceeded, "its limit is 20 MB", "ask for more disk")
    assert task.limits_exceeded == TaskResources(disk=20)


@pytest.mark.parametrize(
    ("isolation", "where"),
    [("shared", "folder"), ("fork", "folder"), ("fork", "TMPDIR"), ("process", "folder"), ("process", "TMPDIR")],
)
def test_a_call_that_writes_more_than_it_asked_for_fails_alone(
    manager: vine.Manager, isolation: str, where: str
) -> None:
    executor = vine.Executor(manager).options(disk=20, isolation=isolation)
    writer = executor.submit(bodies.fill_disk, 50_000_000, where)
    others = [executor.submit(bodies.add, 1, 2) for _ in range(3)]
    check_message(writer.exception(GIVE_UP_S), errors.DiskLimitExceeded, "fill_disk", "its limit is 20 MB")
    assert [other.result(GIVE_UP_S) for other in others] == [3] * 3


@pytest.mark.parametrize("isolation", ["shared", "fork", "process"])
def test_what_a_call_with_a_limit_of_disk_has_written_is_told_and_goes_with_it(
    manager: vine.Manager, isolation: str
) -> None:
    executor = vine.Executor(manager).options(disk=100, isolation=isolation)
    writers = [executor.submit(bodies.fill_disk, 5_000_000, "folder", 0.3) for _ in range(2)]
    folders = [writer.result(GIVE_UP_S) for writer in writers]
    assert all(5 <= (writer.resources_measured.disk or 0) < 6 for writer in writers)
    assert not any(Path(folder).exists() for folder in folders)


@pytest.mark.parametrize("isolation", ["shared", "fork", "process"])
def test_a_call_that_uses_more_memory_than_it_asked_for_fails_alone(manager: vine.Manager, isolation: str) -> None:
    executor = vine.Executor(manager).options(memory=200, isolation=isolation)
    hog = executor.submit(bodies.take_memory, 300_000_000)
    others = [executor.submit(bodies.add, 1, 2) for _ in range(10)]
    check_message(hog.exception(GIVE_UP_S), errors.MemoryLimitExceeded, "take_memory", "its limit is 200 MB")
    assert [other.result(GIVE_UP_S) for other in others] == [3] * 10


def test_limits_are_for_fitting_only_where_they_are_not_enforced(site: Site, tmp_path: Path) -> None:
    with vine.Manager(connection=site.connection, enforce_resources=False) as manager:
        task = vine.Task(f"echo > {tmp_path}/begun; head -c 50000000 /dev/zero > big; sleep 1; rm big")
        task.set_disk(20)
        done(manager, task)
        assert task.successful()
        assert (task.resources_measured.disk or 0) < 20  # What was not enforced is measured at the end only.


def test_what_a_task_has_used_is_told(manager: vine.Manager) -> None:
    text = "import time; hog = bytearray(150_000_000); end = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"
    task = vine.Task(f"head -c 5000000 /dev/zero > file; python3 -c '{text}'")
    task.set_memory(500)
    done(manager, task)
    used = task.resources_measured
    assert 150 < (used.memory or 0) < 300
    assert 5 <= (used.disk or 0) < 10
    assert 0 < (used.cpu_time or 0) <= (used.wall_time or 0) + 0.5
    assert task.resources_allocated == TaskResources(1.0, 500.0, 1000.0, 0.0)


@pytest.mark.parametrize("isolation", ["shared", "fork", "process"])
def test_what_a_call_has_used_is_told_without_what_others_had_used_before(
    manager: vine.Manager, isolation: str
) -> None:
    executor = vine.Executor(manager).options(isolation=isolation)
    large, small = (executor.submit(bodies.take_memory, n, 0.2) for n in (200_000_000, 1_000))
    large.result(GIVE_UP_S), small.result(GIVE_UP_S)
    assert (large.resources_measured.memory or 0) > 200
    assert 0 < (small.resources_measured.memory or 0) < 200


# --- times ---


def test_a_task_that_still_runs_at_its_end_time_is_killed(manager: vine.Manager, tmp_path: Path) -> None:
    task = vine.Task(f"touch {tmp_path / 'begun'}; sleep 600")
    task.set_time_end(time.time() + 3)  # Long enough to begin, however busy the machine is.
    manager.submit(task)
    until((tmp_path / "begun").exists, "it runs")
    assert manager.wait(GIVE_UP_S) is task
    check_message(the_error(task), errors.TimeLimitExceeded, "it still ran at its end time", "give it a later one")
    assert task.result == "max end time"


def test_a_task_does_not_start_before_its_time(manager: vine.Manager) -> None:
    start = time.time() + 0.5
    task = vine.Task("date +%s.%N")
    task.set_time_start(start)
    done(manager, task)
    assert float(task.std_output) >= start


# --- categories ---


def test_a_category_learns_what_its_tasks_need_and_gives_the_maximum_to_one_that_needs_more(
    manager: vine.Manager,
) -> None:
    manager.set_category_mode("hogs", "max")
    manager.set_category_resources_max("hogs", {"cores": 1, "memory": 900, "disk": 500})

    def hog(megabytes: int) -> vine.Task:
        # It rests longer than it is from one look at its memory to the next.
        task = vine.Task(f"python3 -c 'import time; hog = bytearray({megabytes} * 10**6); time.sleep(0.6)'")
        task.set_category("hogs")
        return task

    done(manager, *(hog(50) for _ in range(config.category_samples_min)))
    small, large = done(manager, hog(50), hog(400))
    assert (small.resources_allocated.memory or 900) < 200
    assert large.successful(), large.error
    assert large.resources_allocated.memory == 900


@pytest.mark.parametrize("mode", ["max throughput", "min waste"])
def test_a_category_sizes_calls_for_the_many_and_runs_those_twice_that_need_more(
    manager: vine.Manager, mode: str
) -> None:
    manager.set_category_mode(mode, mode)
    manager.set_category_resources_max(mode, {"memory": 900})
    executor = vine.Executor(manager).options(category=mode, isolation="process")
    usual = [executor.submit(bodies.take_memory, 20_000_000, 0.3) for _ in range(2 * config.category_samples_min)]
    assert [each.result(GIVE_UP_S) for each in usual] == [None] * len(usual)
    small, large = (executor.submit(bodies.take_memory, n, 0.7) for n in (20_000_000, 400_000_000))
    large.result(GIVE_UP_S), small.result(GIVE_UP_S)
    assert small.task is not None and large.task is not None
    assert small.task.allotment is not None and large.task.allotment is not None
    assert (small.task.attempts, large.task.attempts) == (1, 2)
    assert small.task.allotment.memory_mb < 200
    assert large.task.allotment.memory_mb == 900


# --- GPUs ---


def test_a_share_of_a_gpu_that_is_left_of_none_holds_up_no_task_without_one(
    manager: vine.Manager, tmp_path: Path
) -> None:
    # given two shares of 0.6, of which each device can give one, and one more that waits
    release = tmp_path / "release"
    shares = [vine.Task(f"while [ ! -e {release} ]; do sleep 0.02; done; echo $CUDA_VISIBLE_DEVICES") for _ in range(3)]
    plain = vine.Task("true")
    for task, gpus in (*((share, 0.6) for share in shares), (plain, 0)):
        task.set_cores(0.5)
        task.set_memory(100)
        task.set_disk(100)
        task.set_gpus(gpus)
    for task in (*shares, plain):
        manager.submit(task)
    # then a task without GPUs runs all the same, and they see no device together
    assert manager.wait(GIVE_UP_S) is plain
    release.touch()
    for _ in shares:
        assert manager.wait(GIVE_UP_S) is not None
    assert sorted(share.std_output for share in shares[:2]) == ["0\n", "1\n"]


# --- which workers ---


def test_a_task_that_needs_some_time_runs_where_so_much_is_left(tmp_path: Path) -> None:
    with a_site(tmp_path / "site") as site, site.client() as manager:
        site.worker("short", "--wall-time", 300)
        site.worker("long", "--wall-time", 3000)
        manager.wait_for_workers(2, GIVE_UP_S)
        tasks = [vine.Task("true") for _ in range(4)]
        for task in tasks:
            task.set_time_min(1000)
        assert {task.worker for task in done(manager, *tasks)} == {"long"}
        never = vine.Task("true")
        never.set_time_min(4000)
        done(manager, never)
        check_message(the_error(never), errors.NoWorkerFits, "4000 s to live")


def test_a_task_that_asks_for_a_feature_gets_a_worker_of_the_factory_that_gives_it(tmp_path: Path) -> None:
    with a_site(tmp_path / "site") as site, site.client() as manager:
        options = ("--connection", site.connection, "--cores", 1, "--workspace", tmp_path, "--max-workers", 1)
        factories = [
            Program(command("vine-factory", *options, *more), tmp_path / f"factory-{number}.err")
            for number, more in enumerate([(), ("--feature", "NVIDIA RTX A2000", "--name", "fast")])
        ]
        try:
            until(lambda: len(site.status()["factories"]) == 2, "both factories are there")
            task = vine.Task("true")
            task.add_feature("NVIDIA RTX A2000")
            (ended,) = done(manager, task)
            assert ended.successful()
            assert (ended.worker or "").startswith("fast-"), "a worker without the feature has run it"
            other = vine.Task("true")
            other.add_feature("infiniband")
            done(manager, other)
            check_message(the_error(other), errors.NoWorkerFits, "the feature infiniband")
        finally:
            for factory in factories:
                factory.close()


# --- hosts ---


def test_a_blocked_host_runs_nothing_and_a_drained_one_ends(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"]) as site, site.client() as manager:
        hostname = done(manager, vine.Task("true"))[0].hostname
        manager.block_host(hostname)
        manager.submit(vine.Task("true"))
        until(lambda: any("blocked or drained" in each["reason"] for each in site.status()["reasons"]), "it waits")
        assert manager.wait(0) is None
        manager.unblock_host(hostname)
        ended = manager.wait(GIVE_UP_S)
        assert ended is not None
        assert ended.successful()
        manager.set_draining_by_hostname(hostname)
        assert site.workers["w0"].wait() == 0
