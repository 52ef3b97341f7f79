"""What becomes of downloads that fail, and of what was downloaded and is lost, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.downloading import URL, arrive, content_id, downloaders, fail, outcome, the_one
from tests.scheduler.world import World, manifest
from vine import config
from vine.content.manifest import object_id
from vine.names import FileId, WorkerId
from vine.scheduler.actions import Journal
from vine.scheduler.records import FileFailed
from vine.scheduler.settings import Spread
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, DownloadFault, Outcome, Request, TaskKind
from vine.wire.worker_messages import DownloadEnded, FetchObject, RateObjects

FAULTS_OF_THE_URL = [
    DownloadFault.REFUSED, DownloadFault.UNTRUSTED, DownloadFault.SERVER_FAILED, DownloadFault.TRUNCATED,
]  # fmt: skip
FAULTS_OF_THE_WORKER = [
    DownloadFault.UNREACHABLE, DownloadFault.UNREADABLE, DownloadFault.DISK_FULL, DownloadFault.NOT_KEPT,
]  # fmt: skip


def lost_with_its_worker() -> tuple[World, FileId, FileId]:
    """A world without workers in which w1 was lost with a file of a URL; and that, and what is unpacked from it."""
    world = World(workers=1)
    file = world.url(URL, cache=CacheLevel.FOREVER)
    folder = world.untar(file)
    world.submit((file,))
    world.settle()
    world.lose("w1")
    return world, file, folder


# --- what can go wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS_OF_THE_URL)
def test_what_is_the_url_s_fault_fails_all_that_need_it_at_once(fault: DownloadFault) -> None:
    # given tasks that need the URL, and what is unpacked from it
    world = World(workers=3)
    file = world.url(URL)
    tree = world.untar(file)
    tasks = [world.submit((file,)), world.submit((tree,))]
    # when
    worker = fail(world, fault)
    # then nobody else tries, and the message is the worker's
    assert not downloaders(world)
    for task in tasks:
        assert outcome(world, task) is Outcome.INPUT_MISSING
        assert world.results[task].message == f"{URL}: {fault.value} on {worker.worker_id}"
    failed = [r for a in world.done if isinstance(a, Journal) for r in a.records if isinstance(r, FileFailed)]
    assert [record.file_id for record in failed] == [file, tree]
    # and so does what is submitted later
    assert outcome(world, world.submit((tree,))) is Outcome.INPUT_MISSING


@pytest.mark.parametrize("fault", FAULTS_OF_THE_WORKER)
def test_what_may_be_the_worker_s_fault_is_tried_on_another(fault: DownloadFault) -> None:
    world = World(workers=2)
    task = world.submit((world.url(URL),))
    first = fail(world, fault)
    second, _ = the_one(world)
    assert second is not first
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS


def test_what_no_worker_can_have_fails() -> None:
    world = World(workers=2)
    task = world.submit((world.url(URL),))
    fail(world, DownloadFault.UNREACHABLE)
    last = fail(world, DownloadFault.UNREACHABLE)
    assert outcome(world, task) is Outcome.INPUT_MISSING
    assert last.worker_id in world.results[task].message


def test_what_no_worker_has_room_for_fails_as_anything_that_has_no_room() -> None:
    world = World(workers=2)
    file = world.url(URL)
    task, request = world.submit((file,)), world.broadcast(file)
    fail(world, DownloadFault.UNREACHABLE)
    fail(world, DownloadFault.DISK_FULL)
    assert outcome(world, task) is Outcome.DISK_FULL
    answer = world.answer(request)
    assert answer is not None and answer.outcome is Outcome.DISK_FULL


def test_what_so_many_workers_could_not_have_is_not_tried_on_all() -> None:
    world = World(workers=config.download_workers_max + 2)
    task = world.submit((world.url(URL),))
    for _ in range(config.download_workers_max):
        fail(world, DownloadFault.UNREACHABLE)
    assert outcome(world, task) is Outcome.INPUT_MISSING


def test_a_client_that_waits_for_a_content_that_cannot_be_had_is_told() -> None:
    world = World(workers=1)
    world.say(m.BringFile(world.url(URL)))
    fail(world, DownloadFault.REFUSED)
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is None and "refused" in brought.message


def test_a_task_that_was_ready_while_its_url_was_lost_and_could_not_be_had_again_fails() -> None:
    # given a task that waits for a large worker, while what it unpacks is lost and cannot be had any more
    world = World()
    world.join("large", cores=2)
    file = world.url(URL)
    tree = world.untar(file)
    first = world.submit((file,), request=Request(cores=2))
    arrive(world)
    task = world.submit((tree,), request=Request(cores=2))
    world.lose("large")
    world.join("small", cores=1)
    fail(world, DownloadFault.REFUSED)
    assert outcome(world, first) is Outcome.INPUT_MISSING
    assert world.state_of(task) == "ready"
    # when that worker comes
    world.join("another", cores=2)
    # then
    assert outcome(world, task) is Outcome.INPUT_MISSING
    assert not downloaders(world)


def test_a_url_that_could_not_be_had_is_tried_again_when_it_is_declared_again() -> None:
    world = World(workers=1)
    world.submit((world.url(URL),))
    fail(world, DownloadFault.REFUSED)
    task = world.submit((world.url(URL),))
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS


def test_a_download_whose_worker_is_lost_begins_anew_on_another() -> None:
    world = World(workers=2)
    task = world.submit((world.url(URL),))
    world.lose(the_one(world)[0].worker_id)
    assert len(downloaders(world)) == 1
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS
    assert world.downloaded == {URL: 1}


def test_a_url_that_loses_worker_after_worker_fails_and_says_so() -> None:
    world = World(workers=config.worker_losses_max + 1)
    task = world.submit((world.url(URL),))
    for _ in range(config.worker_losses_max):
        world.lose(the_one(world)[0].worker_id)
    assert outcome(world, task) is Outcome.INPUT_MISSING
    assert "was lost (killed)" in world.results[task].message


def test_a_worker_that_reports_something_else_than_it_has_is_not_believed() -> None:
    world = World(workers=2)
    task = world.submit((world.url(URL),))
    liar, download = the_one(world)
    order = liar.downloading.pop(download)
    lie = DownloadEnded(order.download_id, DownloadFault.NONE, object_id(manifest("this")), manifest("that"))
    world.say(lie, liar.peer)
    assert world.core.state.strange == 1
    assert the_one(world)[0] is not liar
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS


# --- copies that are lost ------------------------------------------------------------------------


def test_a_url_whose_copies_are_all_lost_is_downloaded_again_when_it_is_needed() -> None:
    world = World(workers=1)
    file = world.url(URL)
    world.submit((file,))
    world.settle()
    world.lose("w1")
    world.join()
    assert not downloaders(world)
    task = world.submit((file,))
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS
    assert world.downloaded == {URL: 2}
    assert world.core.snapshot(world.now)["downloads_changed"] == 0


def test_what_a_url_leads_to_now_is_bound_to_all_its_files_when_the_old_copies_are_lost() -> None:
    # given two files of one URL, and the loss of their copies
    world = World(workers=1)
    files = [world.url(URL), world.url(URL)]
    world.submit((files[0],))
    world.settle()
    world.lose("w1")
    worker = world.join(cores=2)
    world.web[URL] = "changed since"
    # when a task takes both
    task = world.submit(tuple(files), request=Request(cores=1))
    arrive(world)
    # then it sees one content, and the run says that it has changed
    (assignment,) = worker.assigned.values()
    assert {mount.object_id for mount in assignment.inputs} == {content_id("changed since")}
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS
    assert world.core.snapshot(world.now)["downloads_changed"] == 1


def test_a_task_that_waits_for_a_copy_that_was_lost_takes_what_is_downloaded_next() -> None:
    # given a task that is staged on a worker that pulls the content from the only holder
    world = World(workers=2)
    file = world.url(URL)
    first = world.submit((file,))
    world.settle()
    holder = world.results[first].worker_id
    assert holder is not None
    world.submit(request=Request(cores=1), kind=TaskKind.COMMAND)
    tasks = [world.submit((file,)) for _ in range(2)]
    # when that is lost
    world.web[URL] = "changed since"
    world.lose(holder)
    assert len(downloaders(world)) == 1
    world.join()
    world.settle()
    # then
    assert {outcome(world, task) for task in tasks} == {Outcome.SUCCESS}
    assert world.core.state.files.by_id[file].object_id == content_id("changed since")


def test_copies_that_come_back_count_more_than_what_is_downloaded_meanwhile() -> None:
    # given a download of what was lost, and a worker that comes back with it
    world = World(workers=1)
    file = world.url(URL, cache=CacheLevel.FOREVER)
    world.submit((file,))
    world.settle()
    world.lose("w1")
    world.web[URL] = "changed since"
    one = world.join()
    task = world.submit((file,))
    world.join("w1", found=(content_id(URL),))  # type: ignore[arg-type]
    # when the download ends
    arrive(world)
    # then the file is what it was, and the other content is dropped
    assert world.core.state.files.by_id[file].object_id == content_id(URL)
    assert not one.holds
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS


def test_who_waits_for_what_was_lost_goes_on_as_soon_as_it_comes_back_with_its_worker() -> None:
    # given tasks that wait for lost content, and for what is unpacked from it
    world, file, folder = lost_with_its_worker()
    tasks = [world.submit((file,)), world.submit((folder,))]
    # when it comes back, and nothing comes of the download that was begun for them
    world.join("w1", found=(content_id(URL),))  # type: ignore[arg-type]
    world.download_ends(*the_one(world), DownloadFault.UNREACHABLE)
    # then they run
    world.settle()
    assert {outcome(world, task) for task in tasks} == {Outcome.SUCCESS}


def test_a_url_of_level_task_goes_after_use_and_is_downloaded_again() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    file = world.url(URL, cache=CacheLevel.TASK)
    world.submit((file,))
    world.settle()
    assert not worker.holds
    task = world.submit((file,))
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS
    assert world.downloaded == {URL: 2}


def test_the_only_copy_of_a_url_is_not_given_up_for_room() -> None:
    world = World(workers=2)
    world.submit((world.url(URL),))
    holder = arrive(world)
    world.settle()
    assert holder.may_go() == []
    assert not world.sent(RateObjects), "a worker keeps what it has downloaded without being told"


@pytest.mark.parametrize("spread", [Spread.FOREST, Spread.WHOLE_FILE])
def test_a_url_of_level_task_goes_though_it_is_on_its_way_to_somebody_who_needs_it_no_more(spread: Spread) -> None:
    # given a task that uses the content, and the transfer of one that was cancelled
    world = World(workers=2, spread=spread)
    file = world.url(URL, cache=CacheLevel.TASK)
    tasks = [world.submit((file,)) for _ in range(2)]
    holder = arrive(world)
    (receiver,) = [worker for worker in world.workers.values() if worker is not holder]
    (task,) = [task for task in tasks if world.worker_of(task) == receiver.worker_id]
    world.say(m.CancelTasks((task,)))
    assert receiver.fetching
    for kind in ("start", "end", "end"):
        world.happen(next(event for event in world.possible_events() if event[0] == kind))
    # then nothing is left, neither here nor on its way
    assert not (receiver.fetching or receiver.holds or holder.holds)
    assert not (world.core.state.transfers.active or world.core.state.transfers.wanting)


def test_who_has_failed_tries_once_more_when_who_has_not_is_lost() -> None:
    # given a download that failed on one worker, and the loss of the other that tried
    world = World(workers=2)
    task = world.submit((world.url(URL),))
    first = fail(world, DownloadFault.UNREACHABLE)
    world.lose(the_one(world)[0].worker_id)
    # then the first tries again, and what it says now counts
    assert the_one(world)[0] is first
    fail(world, DownloadFault.UNREACHABLE)
    assert outcome(world, task) is Outcome.INPUT_MISSING


def test_a_download_that_no_free_worker_can_do_holds_up_no_other() -> None:
    # given one worker that is full, and another that could not have what waits
    world = World(workers=2)
    urls = [f"{URL}/{number}" for number in range(2 * config.downloads_per_worker_max)]
    for url in urls:
        world.submit((world.url(url),))
    worker = next(iter(world.workers.values()))
    world.download_ends(worker, next(iter(worker.downloading)), DownloadFault.UNREACHABLE)
    assert len(world.core.state.downloads.waiting) == 1
    # when another is needed
    world.submit((world.url(f"{URL}/new"),))
    # then it does not wait
    assert f"{URL}/new" in {order.url for order in worker.downloading.values()}


def test_an_unpacked_copy_is_of_no_use_to_other_workers_when_the_archive_is_gone() -> None:
    world = World()
    world.join("first")
    archive = world.url()
    folder = world.untar(archive)
    world.submit((folder,))
    world.settle()
    world.say(m.PruneFiles((archive,)))
    world.submit()  # It keeps the first one busy, which has the folder.
    world.join("second")
    task = world.submit((folder,))
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert world.downloaded["https://example.org/data"] == 2


def test_a_folder_is_broadcast_though_its_archive_was_pruned() -> None:
    world = World(workers=1)
    archive = world.url()
    folder = world.untar(archive)
    world.submit((folder,))
    world.settle()
    world.say(m.PruneFiles((archive,)))
    world.join()
    request = world.broadcast(folder)
    world.settle()
    answer = world.answer(request)
    assert answer is not None and answer.workers == 2


def test_a_download_ends_with_the_broadcast_that_needed_it_and_is_through_without_it() -> None:
    # given a folder that is to be broadcast, whose archive was lost with its worker and is downloaded again
    world, _, folder = lost_with_its_worker()
    world.join("other")
    request = world.broadcast(folder)
    assert downloaders(world) == [world.workers[WorkerId("other")]]
    # when that worker comes back with it, and all have the folder from there before the download has ended
    world.join("w1", found=(content_id(URL),))  # type: ignore[arg-type]
    while others := [event for event in world.possible_events() if event[0] != "downloaded"]:
        world.happen(others[0])
    # then nothing is downloaded any more
    assert world.answer(request) is not None
    world.settle()
    assert not world.core.state.downloads.by_url


def test_who_has_downloaded_it_is_not_sent_it_though_it_waited_for_a_source() -> None:
    world = World(spread=Spread.WHOLE_FILE)
    world.join("first")
    file = world.url()
    world.submit((file,))
    world.settle()
    world.submit()  # The first one is busy.
    second = world.join("second")
    task = world.submit((file,))
    assert second.fetching
    world.lose("first")
    assert world.worker_of(task) is None and second.downloading
    world.settle()
    third = world.join("third")
    world.outcome = lambda assignment: Outcome.SUCCESS
    world.submit()
    world.submit((file,))
    world.submit((file,))
    world.settle()
    orders = [order for order in second.received if isinstance(order, FetchObject)]
    assert len(orders) == 1 and third.holds >= {orders[0].object_id}


def test_who_has_downloaded_it_is_not_said_to_wait_for_others_and_feeds_them() -> None:
    world = World(spread=Spread.WHOLE_FILE)
    world.web["https://mirror"] = "https://origin"
    world.join("first")
    file = world.url("https://origin")
    world.submit((file,))
    world.settle()
    world.submit()  # The first one is busy.
    second = world.join("second", cores=2)
    task = world.submit((file,))
    assert second.fetching
    world.submit((world.url("https://mirror"),))
    (download,) = second.downloading
    world.download_ends(second, download, DownloadFault.NONE)
    assert not second.fetching and not world.core.state.transfers.active
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
