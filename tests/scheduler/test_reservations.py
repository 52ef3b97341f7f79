"""Tasks go to workers that can run them at once, and large ones do not starve behind small ones."""

from __future__ import annotations

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.world import World
from vine import config
from vine.names import TaskId, WorkerId
from vine.wire import messages as m
from vine.wire.parts import Request

LARGE = Request(cores=4)


def busy(workers: int, free: int = 1) -> World:
    """Workers with four cores each, on which all but so many run a task of one core."""
    world = World(workers=workers, cores=4)
    for _ in range(workers * (4 - free)):
        world.submit()
    assert {len(worker.assigned) for worker in world.workers.values()} == {4 - free}
    return world


def end_one(world: World, worker: FakeWorker) -> None:
    """What the worker was given first ends."""
    attempt = next(iter(worker.assigned))
    world.happen(("start", worker, attempt))
    world.happen(("end", worker, attempt))


def kept(world: World) -> set[WorkerId]:
    return set(world.core.state.placement.reserved)


def test_a_task_goes_to_whichever_worker_has_room_first() -> None:
    # given two workers with too little room for a task
    world = busy(2)
    task = world.submit(request=Request(cores=2))
    assert world.state_of(task) == "ready"
    # when the one comes to have room, or the other
    for worker in world.workers.values():
        other = World(workers=2, cores=4)
        for _ in range(6):
            other.submit()
        task = other.submit(request=Request(cores=2))
        end_one(other, other.workers[worker.worker_id])
        # then it is the one that is given the task
        assert other.worker_of(task) == worker.worker_id


def test_a_worker_that_can_run_a_task_at_once_is_taken_though_another_is_emptier() -> None:
    world = World()
    world.join("wide", cores=8, memory_mb=1000)
    world.join("deep", cores=2, memory_mb=8000)
    world.submit(request=Request(cores=1, memory_mb=500))
    world.submit(request=Request(cores=1.5, memory_mb=4000))
    task = world.submit(request=Request(cores=0.5, memory_mb=600))
    assert world.worker_of(task) == "deep"


def small_ones_never_end(world: World, seconds: int) -> None:
    """Each second a task of one core ends on each worker, and another one is submitted for it."""
    for _ in range(seconds):
        for worker in list(world.workers.values()):
            if worker.assigned:
                end_one(world, worker)
            world.submit()
            world.report(worker)
        world.pass_time(1)


def test_a_large_task_does_not_wait_for_ever_behind_small_ones() -> None:
    # given workers that are always busy with small tasks
    world = busy(3, free=0)
    small_ones_never_end(world, 3)
    # when a task comes that needs one of them alone
    task = world.submit(request=LARGE)
    small_ones_never_end(world, int(config.reserve_after_s) + 1)
    # then one is kept free for it, which the others are told when they ask
    assert world.state_of(task) == "ready" and len(kept(world)) == 1
    (worker_id,) = kept(world)
    assert f"kept free for it: {worker_id}" in world.core.why(task, world.now)
    # and it runs there as soon as what was there before has ended
    small_ones_never_end(world, 5)
    assert task in world.results or world.worker_of(task) == worker_id
    # and the worker is there for everybody again
    assert not kept(world)
    small_ones_never_end(world, 3)
    assert len(world.workers[worker_id].assigned) == 4


def test_small_tasks_go_on_beside_a_worker_that_is_kept_free() -> None:
    world = busy(2, free=0)
    task = world.submit(request=LARGE)
    world.pass_time(1)
    world.pass_time(config.reserve_after_s)
    (worker_id,) = kept(world)
    (other,) = [worker for worker in world.workers.values() if worker.worker_id != worker_id]
    small = world.submit()
    end_one(world, world.workers[worker_id])
    assert world.state_of(small) == "ready"
    end_one(world, other)
    assert world.worker_of(small) == other.worker_id and world.state_of(task) == "ready"


def test_a_worker_is_given_back_when_the_task_has_found_another_or_is_gone() -> None:
    for ending in ("another", "cancelled", "lost"):
        world = busy(2, free=0)
        task = world.submit(request=LARGE)
        world.pass_time(1)
        world.pass_time(config.reserve_after_s)
        (worker_id,) = kept(world)
        if ending == "another":
            world.join("new", cores=4)
            assert world.worker_of(task) == "new"
        elif ending == "cancelled":
            world.say(m.CancelTasks((task,)))
        else:
            world.lose(worker_id)
        world.pass_time(1)
        assert kept(world) == ({WorkerId("w2")} if ending == "lost" else set()), ending


def test_tasks_of_a_higher_priority_have_a_worker_each_at_once() -> None:
    # given busy workers, and small tasks that wait
    world = busy(3, free=0)
    for _ in range(20):
        world.submit()
    # when two large ones come that are more urgent
    urgent: list[TaskId] = [world.submit(request=LARGE, priority=1) for _ in range(2)]
    world.pass_time(1)
    world.pass_time(1)
    # then the small ones take nothing of two workers until these have them
    assert len(kept(world)) == 2
    for worker in world.workers.values():
        for _ in range(4):
            end_one(world, worker)
    assert all(task in world.results or world.worker_of(task) is not None for task in urgent)
    assert not kept(world)


def test_nothing_is_kept_free_for_a_task_while_more_urgent_ones_wait() -> None:
    world = busy(2, free=0)
    world.submit(request=LARGE)
    world.pass_time(1)
    world.pass_time(config.reserve_after_s)
    assert len(kept(world)) == 1
    for _ in range(4):
        world.submit(priority=1)
    world.pass_time(1)
    assert not kept(world)


def test_a_worker_that_is_kept_free_runs_what_leaves_the_task_its_room() -> None:
    # given a worker whose memory is taken, and a task that waits for some of that
    world = World()
    world.join("w1", cores=8, memory_mb=1000)
    first = world.submit(request=Request(cores=1, memory_mb=1000, disk_mb=0))
    task = world.submit(request=Request(cores=2, memory_mb=600, disk_mb=0))
    world.pass_time(1)
    world.pass_time(config.reserve_after_s)
    assert (kept(world), world.worker_of(first)) == ({"w1"}, "w1")
    # when others come that need none
    others = [world.submit(request=Request(cores=1, memory_mb=0, disk_mb=0)) for _ in range(8)]
    # then they run on the cores that the task will not need
    assert [world.worker_of(other) for other in others] == ["w1"] * 5 + [None] * 3
    world.report(world.workers["w1"])
    world.pass_time(1)
    assert kept(world) == {"w1"}
    end_one(world, world.workers["w1"])
    assert world.worker_of(task) == "w1"


def test_who_cannot_take_a_task_is_not_kept_free_for_it() -> None:
    world = busy(2, free=0)
    task = world.submit(request=LARGE)
    world.core.state.tasks.by_id[task].avoid = {WorkerId("w1")}
    world.join("narrow", cores=2)
    world.pass_time(1)
    world.pass_time(config.reserve_after_s)
    assert kept(world) == {"w2"}


def test_nobody_is_kept_free_while_the_queue_goes_on() -> None:
    world = busy(2, free=0)
    for _ in range(40):
        world.submit()
    for _ in range(10):
        for worker in world.workers.values():
            end_one(world, worker)
            world.report(worker)
        world.pass_time(1)
        assert not kept(world)


def test_who_waits_is_not_forgotten_as_a_task_loses_its_input_for_which_the_worker_was_kept_free() -> None:
    # given a worker that is kept free for a large task with a file of another task's
    world = World()
    maker = world.join("maker")
    temp = world.temp()
    world.submit((), (temp,))
    world.settle()
    wide = world.join("wide", cores=4)
    blocker = world.submit(request=Request(cores=3))
    large = world.submit((temp,), request=LARGE)
    for _ in range(int(config.reserve_after_s) + 2):
        world.pass_time(1)
    assert kept(world) == {"wide"} and world.worker_of(blocker) == "wide"
    other = world.submit(request=Request(cores=2))
    # when the file is lost, and made again elsewhere, before there is room
    world.lose(maker.worker_id)
    world.join("second")
    world.submit((temp,))
    end_one(world, wide)
    # then the large task waits for its file, and the worker is given back at the next look
    assert world.state_of(large) == "waiting" and kept(world) == {"wide"}
    world.pass_time(1)
    assert not kept(world) and world.worker_of(other) == "wide"
