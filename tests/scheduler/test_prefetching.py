"""Large inputs of tasks that wait are where slots come free, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.test_broadcasting import content_of, told
from tests.scheduler.world import FakeWorker, World
from vine import config
from vine.names import MANAGER, FileId, TaskId, WorkerId
from vine.wire import messages as m
from vine.wire.parts import Mount, Outcome, Request, TaskKind, TaskSpec
from vine.wire.worker_messages import AbandonFetch, FetchObject

SUCCESS = Outcome.SUCCESS


def busy_world(workers: int, free_disk_bytes: int = 1 << 40, cores: float = 1) -> tuple[World, list[TaskId]]:
    """Workers of which each slot runs a task without inputs, and that have told of their room."""
    world = World(workers=workers, cores=cores)
    tasks = [world.submit() for _ in range(int(workers * cores))]
    for worker in world.workers.values():
        for attempt in list(worker.assigned):
            world.happen(("start", worker, attempt))
        world.report(worker, free_disk_bytes)
    return world, tasks


def arrive(world: World) -> None:
    """All that is on its way comes."""
    while events := [event for event in world.possible_events() if event[0] in ("fetched", "stored", "unpacked")]:
        world.happen(events[0])


def slot_comes_free(world: World, worker: FakeWorker) -> None:
    world.happen(("end", worker, next(iter(worker.running))))


def on_the_way(world: World) -> dict[str, int]:
    return {name: len(worker.fetching) for name, worker in world.workers.items() if worker.fetching}


def test_different_inputs_of_queued_tasks_are_there_when_slots_come_free() -> None:
    # given two busy workers, and two tasks in the queue with an input each
    world, _ = busy_world(2)
    files = [world.local_file(name) for name in ("one", "two")]
    tasks = [world.submit((file,)) for file in files]
    arrive(world)
    orders = len(world.sent(FetchObject))
    # when the slots come free, in whichever order
    for worker in reversed(list(world.workers.values())):
        slot_comes_free(world, worker)
    # then both tasks can start at once
    for worker in world.workers.values():
        (assignment,) = worker.assigned.values()
        assert worker.has_inputs(assignment)
    assert orders == len(world.sent(FetchObject)) == 2
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {SUCCESS}


def test_an_environment_is_unpacked_ahead() -> None:
    world, _ = busy_world(1)
    archive = world.local_file("env")
    world.submit((world.untar(archive),))
    arrive(world)
    (worker,) = world.workers.values()
    slot_comes_free(world, worker)
    assert worker.has_inputs(next(iter(worker.assigned.values())))


def test_nothing_is_sent_ahead_where_no_room_is_or_none_is_known_of() -> None:
    world, _ = busy_world(2, free_disk_bytes=(2 << 20) - 1)
    known, unknown = world.workers.values()
    world.core.state.workers[unknown.worker_id].status = None
    world.submit((world.local_file(),))
    assert not on_the_way(world)
    # when there is room, it is sent
    world.report(known, 2 << 20)
    assert on_the_way(world) == {known.worker_id: 1}


def test_what_is_already_on_its_way_ahead_counts_against_the_room() -> None:
    world, _ = busy_world(1, free_disk_bytes=3 << 20, cores=2)
    world.submit((world.local_file("one"),)), world.submit((world.local_file("two"),))
    (worker,) = world.workers.values()
    assert len(worker.fetching) == 1


def test_only_a_few_objects_are_on_their_way_to_a_worker() -> None:
    world, _ = busy_world(1, cores=8)
    for number in range(8):
        world.submit((world.local_file(f"file {number}"),))
    (worker,) = world.workers.values()
    assert len(worker.fetching) == config.prefetch_objects_max
    arrive(world)
    assert len(world.sent(FetchObject)) == config.prefetch_objects_max
    world.report(worker)  # It has had its heartbeat.
    assert len(worker.fetching) == config.prefetch_objects_max


def test_a_worker_gets_no_more_ahead_than_its_slots_can_take_next() -> None:
    world, _ = busy_world(1)
    for number in range(4):
        world.submit((world.local_file(f"file {number}"),))
    assert on_the_way(world) == {next(iter(world.workers)): 1}


def test_a_worker_whose_own_task_still_waits_for_its_inputs_gets_nothing_ahead() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    world.submit((world.local_file("one"),))
    world.report(worker)
    world.submit((world.local_file("two"),))
    assert len(worker.fetching) == 1
    arrive(world)
    world.happen(("start", worker, next(iter(worker.assigned))))
    assert len(worker.fetching) == 1


def test_a_task_that_will_go_to_who_has_its_input_moves_nothing() -> None:
    # given a worker that has a file, and one that has not
    world = World(workers=1)
    file = world.local_file()
    world.submit((file,))
    world.settle()
    (holder,) = world.workers.values()
    other = world.join()
    # when both are busy and a task waits
    world.submit(), world.submit(), world.submit()
    for worker in (other, holder, holder):
        world.happen(("start", worker, next(iter(worker.assigned))))
        world.report(worker)
        if worker is holder and len(world.results) < 2:
            slot_comes_free(world, worker)
    world.submit((file,))
    # then it is not sent to the other; but for a second task it is
    assert not on_the_way(world)
    world.submit((file,))
    assert on_the_way(world) == {other.worker_id: 1}


def test_small_inputs_are_not_sent_ahead() -> None:
    world, _ = busy_world(1)
    world.submit((world.local_file("small", chunks=2), world.buffer()))
    assert not on_the_way(world)


def test_inputs_of_tasks_so_short_that_they_queue_on_workers_go_with_them() -> None:
    # given tasks of which a few are queued on the one worker
    world, (first,) = busy_world(1)
    world.core.state.placement.durations.observe(world.core.state.tasks.by_id[first].body, 0.05)
    while world.worker_of(world.submit()) is not None:
        assert len(world.core.state.tasks.by_id) < 20
    # then what waits behind them sends nothing ahead, even when all of them run
    (worker,) = world.workers.values()
    for attempt in list(worker.assigned):
        world.happen(("start", worker, attempt))
    world.report(worker)
    world.submit((world.local_file(),))
    assert not on_the_way(world)


def test_workers_that_cannot_run_the_task_get_nothing() -> None:
    world, _ = busy_world(1)
    world.submit((world.local_file("one"),), features=("gpu",))
    world.submit((world.local_file("two"),), request=Request(cores=64))
    assert not on_the_way(world)


def test_what_was_sent_ahead_for_a_task_that_went_elsewhere_may_go() -> None:
    world, _ = busy_world(1)
    file = world.local_file()
    task = world.submit((file,))
    arrive(world)
    (worker,) = world.workers.values()
    world.say(m.CancelTasks((task,)))
    assert worker.may_go() == [content_of(world, file)]
    world.pass_time(1)
    assert not world.core.state.prefetches.worker_of


@pytest.mark.parametrize("unpacked", [False, True])
def test_what_is_sent_ahead_gives_way_to_what_is_needed_and_is_sent_again_later(unpacked: bool) -> None:
    # given all slots of the manager taken by what is sent ahead, and a worker without room for that
    world, _ = busy_world(4)
    *others, full = world.workers.values()
    world.report(full, 0)
    files = [world.local_file(f"file {number}", chunks=5) for number in range(3)]
    for file in files:
        world.submit((world.untar(file) if unpacked else file,))
    assert world.core.state.transfers.slots.free(MANAGER) == 0
    # when that one needs another file
    request = world.broadcast(world.local_file("urgent", chunks=5), workers=(full.worker_id,))
    # then it gets a slot at once
    assert full.fetching and not world.core.state.transfers.wanting
    arrive(world)
    assert told(world, request) == 1
    # and what gave way is sent when its worker is heard next
    assert sum(len(worker.holds) for worker in others) < (6 if unpacked else 3)
    for worker in others:
        world.report(worker)
    arrive(world)
    assert sum(len(worker.holds) for worker in others) == (6 if unpacked else 3)


def test_what_was_sent_ahead_and_is_needed_by_now_does_not_give_way() -> None:
    world, _ = busy_world(4)
    *others, full = world.workers.values()
    world.report(full, 0)
    for number in range(3):
        world.submit((world.local_file(f"file {number}", chunks=5),))
    for worker in others:
        slot_comes_free(world, worker)
    world.broadcast(world.local_file("urgent", chunks=5), workers=(full.worker_id,))
    assert not full.fetching and not world.sent(AbandonFetch)
    world.settle()


def test_an_archive_that_is_sent_ahead_to_be_unpacked_does_not_give_way_when_it_is_wanted_itself() -> None:
    # given all slots of the manager taken by archives that are sent ahead
    world, _ = busy_world(4)
    *others, full = world.workers.values()
    world.report(full, 0)
    archives = [world.local_file(f"file {number}", chunks=5) for number in range(3)]
    for archive in archives:
        world.submit((world.untar(archive),))
    # when each of them is to be where it goes, and another file elsewhere
    requests = [world.broadcast(archive, workers=tuple(w.worker_id for w in others)) for archive in archives]
    before = len(world.sent(AbandonFetch))
    requests.append(world.broadcast(world.local_file("urgent", chunks=5), workers=(full.worker_id,)))
    # then nothing that is wanted is stopped
    assert len(world.sent(AbandonFetch)) == before
    world.settle()
    assert [told(world, request) for request in requests] == [3, 3, 3, 1]


def test_a_task_is_passed_by_others_a_few_times_only() -> None:
    # given one worker that always has what later tasks need, and a first task whose input is sent to another one
    world, _ = busy_world(2)
    first_file, second_file = world.local_file("one"), world.local_file("two")
    first = world.submit((first_file,))
    arrive(world)
    planned = world.core.state.prefetches.worker_of[first]
    other = next(worker for name, worker in world.workers.items() if name != planned)
    later = [world.submit((second_file,)) for _ in range(config.prefetch_passes_max + 3)]
    arrive(world)
    # when only that worker's slot comes free, again and again
    passed = 0
    while world.worker_of(first) is None:
        slot_comes_free(world, other)
        arrive(world)
        passed += first != next(iter(other.assigned.values())).task_id
        world.happen(("start", other, next(iter(other.assigned))))
        world.report(other)
        arrive(world)
    # then the first task was passed a few times, and has its turn
    assert passed == config.prefetch_passes_max < len(later)


def test_tasks_of_a_higher_priority_are_not_passed() -> None:
    world, _ = busy_world(2)
    low = world.submit((world.local_file("low"),))
    arrive(world)
    planned = world.workers[world.core.state.prefetches.worker_of[low]]
    high = world.submit((world.local_file("high"),), priority=1.0)
    arrive(world)
    assert world.core.state.prefetches.worker_of[high] != planned.worker_id
    slot_comes_free(world, planned)
    assert world.worker_of(high) == planned.worker_id


def test_the_plans_of_a_lost_worker_are_made_anew() -> None:
    world, _ = busy_world(2)
    task = world.submit((world.local_file(),))
    (first,) = on_the_way(world)
    world.lose(first)
    world.report(next(iter(world.workers.values())))
    assert first not in world.workers
    world.settle()
    assert world.results[task].outcome is SUCCESS


class Counting(dict[TaskId, WorkerId]):
    """Counts how many tasks are looked at."""

    looks = 0

    def __contains__(self, task_id: object) -> bool:
        self.looks += 1
        return super().__contains__(task_id)


@pytest.mark.parametrize("queued", [100, 2000])
@pytest.mark.parametrize("chunks", [2, 8])
def test_a_step_looks_at_a_few_tasks_however_many_wait(queued: int, chunks: int) -> None:
    world, _ = busy_world(3)
    files = [world.local_file(f"file {number}", chunks) for number in range(10)]
    specs = [spec_of(world, files[number % len(files)]) for number in range(queued)]
    counting = world.core.state.prefetches.worker_of = Counting()
    world.say(m.SubmitTasks(tuple(specs)))
    assert 0 < counting.looks <= config.prefetch_tasks_a_step_max


def test_tasks_that_do_not_wait_any_more_are_forgotten() -> None:
    world, _ = busy_world(1, free_disk_bytes=0)
    for _ in range(200):
        world.say(m.CancelTasks((world.submit((world.local_file(),)),)))
    world.pass_time(1)
    (queue,) = world.core.state.prefetches.queues.values()
    assert len(queue) < 100


def spec_of(world: World, file: FileId) -> TaskSpec:
    number = world._number()
    return TaskSpec(TaskId(number), TaskKind.CALL, inputs=(Mount(file, "in"),), request=Request(cores=1))


def test_an_archive_that_is_pruned_while_it_is_sent_ahead_leaves_no_mate_waiting_for_what_is_unpacked() -> None:
    world = World()
    busy = world.join("busy", host="one")
    archive = world.local_file(chunks=8)
    folder = world.untar(archive)
    world.submit()
    world.happen(("start", busy, next(iter(busy.assigned))))
    world.report(busy)
    task = world.submit((folder,))
    assert busy.unpacking and busy.fetching, "it is sent ahead"
    world.say(m.PruneFiles((archive,)))
    mate = world.join("mate", host="one")
    assert world.worker_of(task) == mate.worker_id
    while events := [event for event in world.possible_events() if event[:2] != ("end", busy)]:
        world.happen(events[0])
    assert world.results[task].outcome is Outcome.SUCCESS


def test_tasks_whose_inputs_all_workers_have_are_planned_nowhere() -> None:
    # given busy workers that all have a file
    world = World(workers=2)
    everywhere = world.local_file("everywhere")
    world.broadcast(everywhere)
    world.settle()
    for _ in range(2):
        world.submit()
    for worker in world.workers.values():
        for attempt in list(worker.assigned):
            world.happen(("start", worker, attempt))
        world.report(worker)
    # when tasks wait for a slot that need it, and one that needs another file
    tasks = [world.submit((everywhere,)) for _ in range(3)]
    other = world.submit((world.local_file("other"),))
    # then only that one is planned
    assert world.core.state.prefetches.worker_of.keys() == {other}
    world.settle()
    assert {world.results[task].outcome for task in [*tasks, other]} == {SUCCESS}
