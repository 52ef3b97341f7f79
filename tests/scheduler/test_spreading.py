"""An object of many chunks goes from node to node along its forest, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import CHUNK, FakeWorker, World
from vine.names import MANAGER, FileId, TaskId, WorkerId, numbered
from vine.scheduler.flows import Transfers
from vine.scheduler.settings import Spread
from vine.wire import messages as m

CHUNKS = 12


def a_task_each(world: World, file: FileId) -> list[TaskId]:
    """One message for all, as clients send them: one step."""
    task_ids = [TaskId(numbered(0, 1000 + number)) for number in range(len(world.workers))]
    mounts = (m.Mount(file, "in"),)
    specs = [m.TaskSpec(t, m.TaskKind.CALL, inputs=mounts, request=m.Request(cores=1)) for t in task_ids]
    world.say(m.SubmitTasks(tuple(specs)))
    return task_ids


def spreading(workers: int, spread: Spread = Spread.FOREST) -> tuple[World, list[TaskId]]:
    world = World(workers=workers, spread=spread)
    return world, a_task_each(world, world.local_file(chunks=CHUNKS))


def flows(world: World) -> Transfers:
    return world.core.state.transfers


def an_interior_worker(world: World) -> FakeWorker:
    feeding = {edge.source for worker in world.workers.values() for o in worker.fetching.values() for edge in o.sources}
    return next(worker for name, worker in world.workers.items() if name in feeding and worker.fetching)


@pytest.mark.parametrize("workers", [1, 8, 40])
def test_the_manager_uploads_an_object_once_however_many_want_it(workers: int) -> None:
    world, tasks = spreading(workers)
    assert len(world.sent(m.FetchObject)) == workers
    assert not world.sent(m.AbandonFetch)
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {m.Outcome.SUCCESS}
    assert flows(world).bytes_from_manager == CHUNKS * CHUNK
    assert flows(world).bytes_from_peers == (workers - 1) * CHUNKS * CHUNK


def test_in_a_chain_everybody_feeds_one_other_from_the_start() -> None:
    world, tasks = spreading(8, Spread.CHAIN)
    orders = {name: next(iter(worker.fetching.values())) for name, worker in world.workers.items()}
    fed_by = {edge.source: name for name, order in orders.items() for edge in order.sources}
    line = [MANAGER]
    while line[-1] in fed_by:
        line.append(fed_by[line[-1]])
    assert len(line) == 9
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {m.Outcome.SUCCESS}
    assert flows(world).bytes_from_manager == CHUNKS * CHUNK


def test_everybody_is_fed_from_the_start_within_the_cap_of_each_source() -> None:
    world, _ = spreading(40)
    assert all(len(worker.fetching) == 1 for worker in world.workers.values())
    assert not flows(world).wanting
    assert max(flows(world).slots.used.values()) <= world.settings.transfers_max


def test_who_gets_all_stripes_from_one_node_has_one_source() -> None:
    world, _ = spreading(1)
    (order,) = next(iter(world.workers.values())).fetching.values()
    assert [edge.source for edge in order.sources] == [MANAGER]


def test_those_who_come_one_by_one_cost_the_manager_one_copy_too() -> None:
    world = World()
    file = world.local_file(chunks=CHUNKS)
    for _ in range(12):
        world.join()
        world.submit((file,))
        world.pass_time(0.1)
    world.settle()
    assert len(world.results) == 12
    assert flows(world).bytes_from_manager == CHUNKS * CHUNK


def test_what_a_lost_worker_fed_comes_from_others() -> None:
    world, tasks = spreading(8)
    lost = an_interior_worker(world)
    world.lose(lost.worker_id)
    asked = {edge.source for w in world.workers.values() for o in w.fetching.values() for edge in o.sources}
    assert lost.worker_id not in asked and asked
    world.join()
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {m.Outcome.SUCCESS}


def test_a_worker_that_leaves_half_way_does_not_make_the_manager_upload_to_all() -> None:
    world, _ = spreading(40)
    while len(flows(world).active) > 20:
        world.happen(next(event for event in world.possible_events() if event[0] == "fetched"))
    world.lose(an_interior_worker(world).worker_id)
    world.join()
    world.settle()
    assert flows(world).bytes_from_manager <= 2 * CHUNKS * CHUNK


def test_a_source_that_failed_one_of_its_children_feeds_nobody_any_more_but_gets_the_object() -> None:
    world, tasks = spreading(8)
    bad = an_interior_worker(world)
    children = [
        (worker, transfer)
        for worker in world.workers.values()
        for transfer, order in worker.fetching.items()
        if bad.worker_id in [edge.source for edge in order.sources]
    ]
    world.fetch_ends(*children[0], m.FetchFault.SOURCE_GONE, blamed=bad.worker_id)
    asked = {edge.source for w in world.workers.values() for o in w.fetching.values() for edge in o.sources}
    assert bad.worker_id not in asked
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {m.Outcome.SUCCESS}
    assert len(world.results) == 8


def test_who_is_not_named_is_not_blamed() -> None:
    world, _ = spreading(8)
    worker = next(w for w in world.workers.values() if any(len(o.sources) == 3 for o in w.fetching.values()))
    world.fetch_ends(worker, next(iter(worker.fetching)), m.FetchFault.SOURCE_GONE, blamed=WorkerId("stranger"))
    assert not flows(world).shunned
    assert len(worker.fetching) == 1


def test_an_object_that_must_not_be_shared_any_more_comes_from_the_manager_alone() -> None:
    # given an object on its way to eight workers
    world, tasks = spreading(8)
    # when the same content is declared again, as private
    world.bind(world.declare(m.FileKind.LOCAL, path="/data/big", peer_transfer=False), "big", CHUNKS)
    # then nobody asks a worker for it
    asked = {edge.source for w in world.workers.values() for o in w.fetching.values() for edge in o.sources}
    assert asked == {MANAGER}
    assert not flows(world).forests
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {m.Outcome.SUCCESS}


def test_an_object_of_few_chunks_has_one_source_and_no_plan() -> None:
    world = World(workers=8)
    a_task_each(world, world.local_file(chunks=3))
    assert not flows(world).forests
    assert {len(a.message.sources) for a in world.sent(m.FetchObject)} == {1}  # type: ignore[attr-defined]
    world.settle()
    assert len(world.results) == 8


def test_objects_that_compete_for_slots_all_come() -> None:
    world = World(workers=6, cores=4)
    files = [world.local_file(f"file{number}", chunks=chunks) for number, chunks in enumerate((12, 12, 2, 12, 2, 12))]
    for file in [file for file in files for _ in range(4)]:
        world.submit((file,))
    world.settle()
    assert len(world.results) == 24
    assert not flows(world).slots.used


def test_an_object_that_nobody_needs_gives_all_slots_back() -> None:
    world, _ = spreading(8)
    world.say(m.ClientBye())
    assert not flows(world).slots.used and not flows(world).forests and not flows(world).active
