"""A file is brought to workers before any task asks, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import CHUNK, FakeWorker, World, manifest
from vine.content.manifest import object_id
from vine.names import FileId, ObjectId
from vine.scheduler.files import unpacked_id
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, FetchFault, FileKind, Outcome
from vine.wire.worker_messages import FetchObject, ObjectsLost

CHUNKS = 12


def content_of(world: World, file: FileId) -> ObjectId:
    known = world.core.state.files.object_of(file)
    assert known is not None
    return known.object_id


def told(world: World, request: int) -> int:
    """To how many workers the broadcast has come, as its client knows."""
    answer = world.answer(request)
    assert answer is not None and answer.outcome is Outcome.SUCCESS, answer
    return answer.workers


def failed(world: World, request: int) -> tuple[Outcome, str]:
    answer = world.answer(request)
    assert answer is not None and answer.workers == 0, answer
    return answer.outcome, answer.message


def lacks_room(world: World, worker: FakeWorker) -> None:
    """What is on its way to the worker does not fit onto its disk."""
    for transfer in list(worker.fetching):
        world.fetch_ends(worker, transfer, FetchFault.DISK_FULL)


# --- to all ---


def test_all_that_are_connected_get_the_file_and_the_manager_uploads_it_once() -> None:
    world = World(workers=8)
    file = world.local_file(chunks=CHUNKS)
    request = world.broadcast(file)
    assert world.answer(request) is None
    world.settle()
    assert told(world, request) == 8
    assert all(content_of(world, file) in worker.holds for worker in world.workers.values())
    assert world.core.state.transfers.bytes_from_manager == CHUNKS * CHUNK


def test_a_task_on_a_worker_that_has_got_the_broadcast_starts_without_a_transfer() -> None:
    world = World(workers=2)
    file = world.local_file()
    world.broadcast(file)
    world.settle()
    orders = len(world.sent(FetchObject))
    world.submit((file,))
    world.settle()
    assert len(world.sent(FetchObject)) == orders == 2


def test_a_small_buffer_is_broadcast_inside_messages() -> None:
    world = World(workers=3)
    request = world.broadcast(world.buffer())
    world.settle()
    assert told(world, request) == 3


def test_an_environment_is_unpacked_by_each_worker() -> None:
    world = World(workers=2)
    archive = world.local_file("env")
    request = world.broadcast(world.untar(archive))
    tree = unpacked_id(content_of(world, archive))
    world.settle()
    assert told(world, request) == 2
    assert all(tree in worker.holds for worker in world.workers.values())


def test_with_nobody_connected_it_waits_for_the_first() -> None:
    world = World()
    request = world.broadcast(world.local_file())
    assert world.answer(request) is None
    world.join()
    world.settle()
    assert told(world, request) == 1


def test_those_who_join_before_its_end_are_waited_for_and_those_after_get_it_too() -> None:
    world = World(workers=1)
    file = world.local_file()
    request = world.broadcast(file)
    world.join()
    world.settle()
    assert told(world, request) == 2
    late = world.join()
    world.settle()
    assert content_of(world, file) in late.holds
    world.say(m.ForgetFiles((file,)))
    later = world.join()
    assert not later.received[1:], "the file is not declared any more"


def test_a_file_that_is_not_yet_made_is_broadcast_when_a_task_has_made_it() -> None:
    world = World(workers=3)
    temp = world.temp()
    request = world.broadcast(temp)
    world.settle()
    assert world.answer(request) is None
    world.submit(outputs=(temp,))
    world.settle()
    assert told(world, request) == 3


def test_a_file_that_is_still_hashed_is_broadcast_when_it_is_known() -> None:
    world = World(workers=1)
    file = world.local_file(bind=False)
    request = world.broadcast(file)
    world.bind(file)
    world.settle()
    assert told(world, request) == 1


def test_a_worker_that_is_lost_meanwhile_is_not_waited_for() -> None:
    world = World(workers=2)
    request = world.broadcast(world.local_file())
    first, _ = world.workers
    world.lose(first)
    world.settle()
    assert told(world, request) == 1


def test_a_worker_without_room_is_not_waited_for_and_not_asked_again() -> None:
    world = World(workers=2)
    file = world.local_file(chunks=2)
    request = world.broadcast(file)
    full, _ = world.workers.values()
    lacks_room(world, full)
    world.settle()
    assert told(world, request) == 1
    world.join()
    world.settle()
    assert content_of(world, file) not in full.holds


def test_a_copy_that_had_to_make_room_is_not_brought_again() -> None:
    world = World(workers=2)
    file = world.local_file()
    world.broadcast(file)
    world.settle()
    worker = next(iter(world.workers.values()))
    world.evict(worker, content_of(world, file))
    world.settle()
    assert content_of(world, file) not in worker.holds


def test_a_copy_that_had_to_make_room_before_the_end_is_not_waited_for() -> None:
    world = World(workers=2)
    file = world.local_file(chunks=2)
    request = world.broadcast(file)
    first, second = world.workers.values()
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.NONE)
    world.evict(first, content_of(world, file))
    assert not first.fetching and second.fetching
    world.settle()
    assert told(world, request) == 1


def test_a_copy_that_went_bad_before_the_end_is_brought_again() -> None:
    # given a broadcast that one of two workers has got
    world = World(workers=2)
    file = world.local_file(chunks=2)
    request = world.broadcast(file)
    first = next(iter(world.workers.values()))
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.NONE)
    # when its copy is found to be altered
    first.holds.clear()
    world.say(ObjectsLost((content_of(world, file),), "altered"), first.peer)
    # then both have it in the end
    world.settle()
    assert told(world, request) == 2


def test_what_another_task_no_longer_needs_there_comes_all_the_same() -> None:
    world = World(workers=1)
    file = world.local_file(chunks=2)
    task = world.submit((file,))
    request = world.broadcast(file)
    world.say(m.CancelTasks((task,)))
    world.settle()
    assert told(world, request) == 1


def test_a_broadcast_outlasts_the_task_that_was_the_last_to_need_a_short_lived_file() -> None:
    world = World(workers=1)
    file = world.local_file(cache=CacheLevel.TASK)
    request = world.broadcast(file)
    world.submit((file,))
    world.settle()
    assert told(world, request) == 1
    assert content_of(world, file) in next(iter(world.workers.values())).holds


# --- to some ---


def test_a_number_of_workers_are_on_hosts_of_their_own_as_far_as_there_are_hosts() -> None:
    world = World()
    for name in ("a1", "a2", "b1", "b2"):
        world.join(name, host=name[0])
    file = world.local_file()
    two, three = world.broadcast(file, count=2), world.broadcast(file, count=3)
    world.settle()
    assert (told(world, two), told(world, three)) == (2, 3)
    holders = [name for name, worker in world.workers.items() if worker.holds]
    assert len(holders) == 3
    assert {name[0] for name in holders} == {"a", "b"}


def test_who_has_it_already_is_one_of_the_number() -> None:
    world = World(workers=1)
    file = world.local_file()
    world.broadcast(file)
    world.settle()
    world.say(m.ForgetFiles((file,)))
    again = world.local_file()
    first = world.broadcast(again, count=1)
    world.settle()
    for number in range(3):
        world.join(host=f"other{number}")
    assert told(world, first) == told(world, world.broadcast(again, count=1)) == 1


def test_more_than_are_connected_are_waited_for() -> None:
    world = World(workers=1)
    request = world.broadcast(world.local_file(), count=2)
    world.settle()
    assert world.answer(request) is None
    world.join()
    world.settle()
    assert told(world, request) == 2


def test_another_takes_the_place_of_a_chosen_one_that_is_lost_and_without_another_one_less_is_waited_for() -> None:
    world = World(workers=3)
    request = world.broadcast(world.local_file(), count=2)
    chosen = [name for name, worker in world.workers.items() if worker.fetching]
    for name in chosen:
        world.lose(name)
    world.settle()
    assert told(world, request) == 1


def test_others_take_the_places_of_chosen_ones_that_are_lost_at_once() -> None:
    world = World(workers=4)
    request = world.broadcast(world.local_file(), count=3)
    chosen = [worker for worker in world.workers.values() if worker.fetching]
    for lost in chosen[:2]:
        del world.workers[lost.worker_id]
    world.pass_time(world.settings.worker_lost_after_s + 1)
    assert len(world.core.state.workers) == 2
    world.settle()
    assert told(world, request) == 2


def test_named_workers_get_it_and_no_others() -> None:
    world = World(workers=3)
    first, second, third = world.workers
    request = world.broadcast(world.local_file(), workers=(first, third, "nobody"))
    world.settle()
    assert told(world, request) == 2
    assert not world.workers[second].holds


def test_a_broadcast_to_some_does_not_go_on_after_its_end() -> None:
    world = World(workers=1)
    world.broadcast(world.local_file(), count=1)
    world.settle()
    late = world.join()
    assert not late.fetching and not world.core.state.copies.broadcasts


# --- what cannot be ---


def test_workers_that_do_not_exist_are_an_error_at_once_which_names_those_that_do() -> None:
    world = World()
    world.join("w7")
    outcome, message = failed(world, world.broadcast(world.local_file(label="/data/x"), workers=("w8", "w9")))
    assert outcome is Outcome.WORKER_LOST
    assert message == "/data/x was to be brought to w8, w9, and no such worker is connected; connected are: w7"


def test_the_last_named_worker_is_lost() -> None:
    world = World(workers=2)
    first = next(iter(world.workers))
    request = world.broadcast(world.local_file(), workers=(first,))
    world.lose(first)
    assert failed(world, request)[0] is Outcome.WORKER_LOST


def test_nobody_has_room() -> None:
    world = World(workers=2)
    request = world.broadcast(world.local_file(chunks=2, label="/data/x"))
    for worker in world.workers.values():
        lacks_room(world, worker)
    outcome, message = failed(world, request)
    assert outcome is Outcome.DISK_FULL
    assert message.startswith("/data/x could be brought to no worker")


def test_an_archive_that_does_not_unpack() -> None:
    world = World(workers=1)
    archive = world.local_file("env", chunks=2)
    request = world.broadcast(world.untar(archive))
    (worker,) = world.workers.values()
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.NONE)
    (order,) = worker.unpacking
    worker.unpacking.clear()
    world.say(ObjectsLost((order.object_id,), "it is no archive"), worker.peer)
    outcome, message = failed(world, request)
    assert outcome is Outcome.TRANSFER_FAILED and "it is no archive" in message


def test_a_file_that_cannot_be_read() -> None:
    world = World(workers=1)
    file = world.local_file(bind=False)
    request = world.broadcast(file)
    world.say(m.FileUnreadable(file, "permission denied"))
    assert failed(world, request) == (Outcome.INPUT_MISSING, "permission denied")
    assert failed(world, world.broadcast(file)) == (Outcome.INPUT_MISSING, "permission denied")


def test_a_file_that_does_not_exist() -> None:
    world = World(workers=1)
    file = world.local_file(bind=False, exists=False)
    assert "create it before it is declared" in failed(world, world.broadcast(file))[1]


def test_a_file_whose_task_fails() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    temp = world.temp()
    world.submit(outputs=(temp,))
    request = world.broadcast(temp)
    world.settle()
    assert failed(world, request)[0] is Outcome.DEPENDENCY_FAILED


def test_a_file_that_has_changed_since_its_declaration() -> None:
    world = World(workers=1)
    request = world.broadcast(world.local_file(chunks=2))
    (worker,) = world.workers.values()
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.SOURCE_CHANGED)
    assert failed(world, request)[0] is Outcome.INPUT_CHANGED


@pytest.mark.parametrize("used", [False, True])
def test_a_file_that_is_undeclared_before_all_have_it(used: bool) -> None:
    world = World(workers=1)
    file = world.local_file()
    if used:
        world.submit((file,))
    request = world.broadcast(file)
    world.say(m.ForgetFiles((file,)))
    outcome, message = failed(world, request)
    assert outcome is Outcome.INPUT_MISSING and "is not declared (any more)" in message
    assert failed(world, world.broadcast(file))[0] is Outcome.INPUT_MISSING


def test_a_client_that_leaves_is_told_nothing_and_its_broadcasts_end() -> None:
    world = World(workers=1)
    world.broadcast(world.local_file())
    world.say(m.ClientBye())
    assert not world.core.state.copies.broadcasts
    world.join()
    world.settle()


# --- what is lost while it spreads ---


def test_a_lost_temp_that_is_being_broadcast_is_made_again() -> None:
    # given a broadcast whose only source so far is the worker that made the file
    world = World(workers=1)
    (maker,) = world.workers
    temp = world.temp()
    task = world.submit(outputs=(temp,))
    world.settle()
    world.join(), world.join()
    request = world.broadcast(temp)
    # when that is lost
    world.lose(maker)
    world.settle()
    # then its task runs again, and the others get what it makes
    assert world.runs[task] == 2
    assert told(world, request) == 2


def test_a_broadcast_of_a_temp_that_was_lost_before_makes_it_again() -> None:
    world = World(workers=1)
    (maker,) = world.workers
    temp = world.temp()
    world.submit(outputs=(temp,))
    world.settle()
    world.lose(maker)
    world.join()
    request = world.broadcast(temp)
    world.settle()
    assert told(world, request) == 1


def test_what_a_worker_has_kept_for_ever_is_told_to_have_it() -> None:
    world = World()
    kept = object_id(manifest("big", 8))
    world.join(found=(kept,))
    request = world.broadcast(world.local_file("big", 8))
    assert told(world, request) == 1
    assert not world.sent(FetchObject)


def test_undeclaring_what_is_unpacked_from_a_url_ends_its_broadcast_and_the_download_for_it() -> None:
    world = World(workers=1)
    archive = world.declare(FileKind.URL, url="https://host/env.tar.gz")
    tree = world.untar(archive)
    request = world.broadcast(tree)
    assert world.core.state.downloads.by_url
    world.say(m.ForgetFiles((tree,)))
    assert failed(world, request)[0] is Outcome.INPUT_MISSING
    (download,) = world.core.state.downloads.by_url.values()
    assert download.stopping and not download.needed
