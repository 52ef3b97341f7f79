"""Workers of one host: one brings an object there, and the others have it from the store that they share."""

from __future__ import annotations

import pytest

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.test_spreading import a_task_each
from tests.scheduler.world import CHUNK, World
from vine.names import MANAGER
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, FetchFault, FileKind, Outcome, Request
from vine.wire.worker_messages import FetchObject, ObjectsHeld, ObjectsLost


def hosts(count: int, workers_each: int) -> World:
    world = World()
    for number in range(count * workers_each):
        world.join(host=f"h{number // workers_each}")
    return world


def bringing(world: World) -> list[FakeWorker]:
    return [worker for worker in world.workers.values() if worker.fetching]


def orders_sent(worker: FakeWorker) -> list[FetchObject]:
    return [message for message in worker.received if isinstance(message, FetchObject)]


def succeeded(world: World, count: int) -> bool:
    outcomes = [result.outcome for result in world.results.values()]
    return outcomes == [Outcome.SUCCESS] * count


@pytest.mark.parametrize("chunks", [2, 12])
def test_an_object_is_brought_to_each_host_once(chunks: int) -> None:
    # given four hosts of eight workers, each with a task that needs the same file
    world = hosts(4, 8)
    a_task_each(world, world.local_file(chunks=chunks))
    # then one worker a host pulls it, and the others hold nobody's slot
    assert [worker.host for worker in bringing(world)] == ["h0", "h1", "h2", "h3"]
    transfers = world.core.state.transfers
    assert sum(transfers.slots.used.values()) <= 12
    # when these have it, their mates are told to have it from them
    pullers = bringing(world)
    for puller in pullers:
        world.fetch_ends(puller, next(iter(puller.fetching)), FetchFault.NONE)
    for worker in world.workers.values():
        (order,) = orders_sent(worker)
        mates = {puller.worker_id for puller in pullers if puller.host == worker.host}
        assert worker in pullers or {edge.source for edge in order.sources} == mates
    assert not transfers.slots.used
    world.settle()
    assert succeeded(world, 32)
    assert transfers.bytes_from_manager + transfers.bytes_from_peers == 4 * chunks * CHUNK


def test_who_comes_to_a_host_that_has_it_has_it_from_there() -> None:
    world = hosts(2, 1)
    file = world.local_file(chunks=12)
    a_task_each(world, file)
    world.settle()
    late = world.join(cores=2, host="h1")
    world.submit((file,), request=Request(cores=2))
    (order,) = orders_sent(late)
    assert {edge.source for edge in order.sources} == {"w2"}
    assert not world.core.state.transfers.slots.used


@pytest.mark.parametrize("how", ["lost", "fails"])
def test_when_the_one_that_brings_it_cannot_a_mate_takes_over(how: str) -> None:
    # given three workers of a host, one of which pulls what each has a task for
    world = hosts(1, 3)
    a_task_each(world, world.local_file(chunks=12))
    (first,) = bringing(world)
    # when it is lost, or has no room for it
    if how == "lost":
        world.lose(first.worker_id)
    else:
        world.fetch_ends(first, next(iter(first.fetching)), FetchFault.DISK_FULL)
    # then another one pulls it
    (second,) = [worker for worker in bringing(world) if worker is not first]
    world.settle()
    assert succeeded(world, 3) and second.holds


def test_when_a_source_has_failed_the_same_worker_pulls_on() -> None:
    world = hosts(1, 3)
    a_task_each(world, world.local_file(chunks=12))
    (first,) = bringing(world)
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.SOURCE_GONE)
    assert bringing(world) == [first]


def test_a_mate_that_is_lost_while_it_waits_holds_up_nobody() -> None:
    world = hosts(1, 2)
    tasks = a_task_each(world, world.local_file(chunks=12))
    (puller,) = bringing(world)
    mate = next(worker for worker in world.workers.values() if worker is not puller)
    world.lose(mate.worker_id)
    world.settle()
    assert not orders_sent(mate)
    assert succeeded(world, 2) and set(tasks) == set(world.results)


def test_a_mate_that_has_it_all_the_same_is_sent_nothing() -> None:
    # given a worker that waits for its mate
    world = hosts(1, 2)
    a_task_each(world, world.local_file(chunks=12))
    (puller,) = bringing(world)
    mate = next(worker for worker in world.workers.values() if worker is not puller)
    (object_id,) = world.core.state.workers[mate.worker_id].awaits
    # when it says that it has the object
    mate.came(object_id, CacheLevel.WORKFLOW)
    world.say(ObjectsHeld((object_id,)), mate.peer)
    # then it waits no more, and nothing is sent to it
    assert not world.core.state.workers[mate.worker_id].awaits
    world.settle()
    assert not orders_sent(mate) and succeeded(world, 2)


def test_a_mate_whose_task_has_gone_elsewhere_waits_no_more() -> None:
    # given a worker that waits for its mate to bring one file, and pulls another one itself
    world = hosts(1, 2)
    shared = world.local_file("shared", chunks=12)
    world.submit((shared,))
    (puller,) = bringing(world)
    task = world.submit((shared, world.local_file("own", chunks=2)))
    mate = next(worker for worker in world.workers.values() if worker is not puller)
    assert world.core.state.workers[mate.worker_id].awaits
    # when it has no room for that one
    world.join()
    world.fetch_ends(mate, next(iter(mate.fetching)), FetchFault.DISK_FULL)
    # then its task is elsewhere, and it waits for nothing
    assert world.worker_of(task) != mate.worker_id
    assert not world.core.state.workers[mate.worker_id].awaits
    world.settle()
    assert succeeded(world, 2)


def test_an_archive_is_unpacked_on_each_host_once() -> None:
    # given two hosts of three workers that all need an unpacked archive
    world = hosts(2, 3)
    a_task_each(world, world.untar(world.local_file(chunks=12)))
    # then one of each is told to unpack it
    told = [worker for worker in world.workers.values() if worker.unpacking]
    assert [worker.host for worker in told] == ["h0", "h1"]
    # and the others when it is there
    for worker in told:
        for kind in ("fetched", "unpacked"):
            world.happen(next(event for event in world.possible_events() if event[0] == kind and event[1] is worker))
    assert all(worker.unpacking or worker in told for worker in world.workers.values())
    world.settle()
    assert succeeded(world, 6)


def test_when_unpacking_fails_on_one_worker_a_mate_tries_it() -> None:
    world = hosts(1, 2)
    a_task_each(world, world.untar(world.local_file(chunks=12)))
    (first,) = [worker for worker in world.workers.values() if worker.unpacking]
    tree = first.unpacking.pop().object_id
    world.say(ObjectsLost((tree,), "no room", disk_full=True), first.peer)
    (second,) = [worker for worker in world.workers.values() if worker.unpacking]
    assert second is not first
    world.settle()
    assert succeeded(world, 2)


def test_where_the_store_is_not_shared_after_all_each_pulls_for_itself() -> None:
    # given a mate that was told to have it from the other worker of its host, and cannot
    world = hosts(1, 2)
    a_task_each(world, world.local_file(chunks=12))
    (first,) = bringing(world)
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.NONE)
    (second,) = bringing(world)
    world.fetch_ends(second, next(iter(second.fetching)), FetchFault.SOURCE_GONE)
    # then it is fed like any other
    (order,) = second.fetching.values()
    assert {edge.source for edge in order.sources} == {MANAGER}
    world.settle()
    assert succeeded(world, 2)


def test_what_must_not_be_shared_comes_to_each_worker_from_the_manager() -> None:
    world = hosts(1, 3)
    a_task_each(world, world.local_file(chunks=2, peer_transfer=False))
    assert len(bringing(world)) == 3
    assert {edge.source for worker in bringing(world) for edge in orders_sent(worker)[0].sources} == {MANAGER}


def test_those_who_wait_when_it_must_not_be_shared_any_more_pull_for_themselves() -> None:
    world = hosts(1, 3)
    a_task_each(world, world.local_file(chunks=12))
    world.bind(world.declare(FileKind.LOCAL, path="/data/big", peer_transfer=False), "big", 12)
    assert len(bringing(world)) == 3
    world.settle()
    assert succeeded(world, 3)


def test_what_a_task_waits_for_on_its_host_is_told() -> None:
    world = hosts(1, 2)
    tasks = a_task_each(world, world.local_file(chunks=12, label="the data"))
    (first,) = bringing(world)
    waiting = next(task for task in tasks if world.worker_of(task) != first.worker_id)
    assert f"waits for {first.worker_id}, on the same host, to bring the data" in world.core.why(waiting, world.now)


def test_an_object_that_nobody_needs_leaves_nobody_waiting() -> None:
    world = hosts(2, 4)
    a_task_each(world, world.untar(world.local_file(chunks=12)))
    assert world.core.state.transfers.mates
    world.say(m.ClientBye())
    assert not world.core.state.transfers.mates
    assert not any(worker.awaits for worker in world.core.state.workers.values())


def test_what_goes_after_its_last_task_is_on_its_way_to_no_mate_either() -> None:
    # given a file that goes from workers when no task needs it, and a mate that gets it from the one that has it
    world = hosts(1, 2)
    tasks = a_task_each(world, world.local_file(chunks=12, cache=CacheLevel.TASK))
    (puller,) = bringing(world)
    world.fetch_ends(puller, next(iter(puller.fetching)), FetchFault.NONE)
    (mate,) = bringing(world)
    # when the mate's task is cancelled, and the other one ends
    world.say(m.CancelTasks(tuple(task for task in tasks if world.worker_of(task) == mate.worker_id)))
    while others := [event for event in world.possible_events() if event[0] != "fetched"]:
        world.happen(others[0])
    # then neither has it, and neither gets it
    assert set(world.results) == set(tasks)
    assert not puller.holds and not mate.fetching and not world.core.state.transfers.active
