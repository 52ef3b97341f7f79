"""Which worker downloads which URL, when, and what comes of it, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.downloading import URL, arrive, content_id, downloaders, outcome, the_one
from tests.scheduler.world import World, manifest
from vine import config
from vine.names import MANAGER, FileId, HostId, PeerKey, TaskId, numbered
from vine.scheduler.actions import Journal, Send
from vine.scheduler.records import ObjectBound
from vine.wire import messages as m
from vine.wire.parts import (
    CacheLevel,
    DownloadFault,
    FileKind,
    FileSpec,
    Mount,
    Outcome,
    Request,
    Resources,
    TaskKind,
    TaskSpec,
    WorkDemand,
)
from vine.wire.worker_messages import WorkerStatus

# --- one downloads, the others get it from there -------------------------------------------------


def test_one_worker_downloads_and_the_others_pull_from_peers() -> None:
    # given
    world = World(workers=4)
    file = world.url(URL)
    tasks = [world.submit((file,)) for _ in range(4)]
    # when
    assert len(downloaders(world)) == 1
    arrive(world)
    # then
    sources = {edge.source for w in world.workers.values() for order in w.fetching.values() for edge in order.sources}
    assert MANAGER not in sources
    world.settle()
    assert {outcome(world, task) for task in tasks} == {Outcome.SUCCESS}
    assert len({result.worker_id for result in world.results.values()}) == 4
    assert world.downloaded == {URL: 1}


def test_nothing_is_downloaded_before_somebody_needs_it() -> None:
    world = World(workers=1)
    world.url(URL)
    world.settle()
    assert world.downloaded == {}


def test_two_files_of_two_clients_with_one_url_are_one_download() -> None:
    # given two clients
    world = World(workers=2)
    other = PeerKey("other")
    world.say(m.ClientHello(world.core.state.clients[world.client].client_id, HostId("here"), "3.11"), other)
    theirs = FileId(numbered(1, 1))
    world.say(m.DeclareFiles((FileSpec(theirs, FileKind.URL, CacheLevel.WORKFLOW, URL, url=URL),)), other)
    ours = world.url(URL)
    # when both have a task that needs it
    world.submit((ours,))
    spec = TaskSpec(TaskId(numbered(1, 2)), TaskKind.CALL, inputs=(Mount(theirs, "in"),), request=Request(1))
    world.say(m.SubmitTasks((spec,)), other)
    assert len(downloaders(world)) == 1
    world.settle()
    # then both files stand for what came
    assert world.downloaded == {URL: 1}
    files = world.core.state.files
    assert files.by_id[ours].object_id == files.by_id[theirs].object_id == content_id(URL)


def test_a_url_that_is_declared_again_is_what_the_run_has_of_it_already() -> None:
    world = World(workers=1)
    world.submit((world.url(URL),))
    world.settle()
    world.web[URL] = "changed since"
    task = world.submit((world.url(URL),))
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS
    assert world.downloaded == {URL: 1}


def test_a_url_that_nobody_has_declared_any_more_is_downloaded_anew() -> None:
    world = World(workers=1)
    first = world.url(URL)
    world.submit((first,))
    world.settle()
    world.say(m.ForgetFiles((first,)))
    world.web[URL] = "changed since"
    again = world.url(URL)
    world.submit((again,))
    world.settle()
    assert world.downloaded == {URL: 2}
    assert world.core.state.files.by_id[again].object_id == content_id("changed since")


def test_an_archive_at_a_url_is_downloaded_once_and_unpacked_where_it_is_needed() -> None:
    world = World(workers=2)
    tree = world.untar(world.url(URL))
    tasks = [world.submit((tree,)) for _ in range(2)]
    world.settle()
    assert {outcome(world, task) for task in tasks} == {Outcome.SUCCESS}
    assert world.downloaded == {URL: 1}
    assert len({result.worker_id for result in world.results.values()}) == 2


def test_a_client_that_asks_for_the_content_gets_it_without_a_task() -> None:
    world = World(workers=1)
    file = world.url(URL)
    world.say(m.BringFile(file))
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is not None
    assert world.downloaded == {URL: 1}


def test_the_tree_of_an_archive_is_not_downloaded_for_a_client_that_cannot_have_it() -> None:
    world = World(workers=1)
    world.say(m.BringFile(world.untar(world.url(URL))))
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is None and "fetch its archive" in brought.message
    assert not downloaders(world)


def test_a_download_is_written_down() -> None:
    world = World(workers=1)
    file = world.url(URL)
    world.submit((file,))
    world.settle()
    bound = [r for a in world.done if isinstance(a, Journal) for r in a.records if isinstance(r, ObjectBound)]
    assert bound == [ObjectBound(file, content_id(URL), manifest(URL))]


# --- who downloads -------------------------------------------------------------------------------


def test_the_worker_that_holds_most_of_the_task_s_other_inputs_downloads() -> None:
    # given a worker that has a large file, and is not the first that one would think of
    world = World(workers=2)
    holder = world.join(cores=2).worker_id
    big = world.local_file()
    world.submit((big,), request=Request(cores=2))
    world.settle()
    world.submit(request=Request(cores=2))  # It is busy, too.
    # when a task needs that and a URL
    world.submit((big, world.url(URL)))
    # then
    assert the_one(world)[0].worker_id == holder


def test_a_worker_that_fits_a_waiting_task_downloads() -> None:
    world = World()
    world.join(cores=1)
    large = world.join(cores=8)
    world.join(cores=1)
    world.submit((world.url(URL),), request=Request(cores=8))
    assert the_one(world)[0] is large


def test_a_task_that_fits_no_worker_does_not_wait_for_its_url_for_ever() -> None:
    world = World(workers=1)
    task = world.submit((world.url(URL),), request=Request(cores=8))
    world.settle()
    world.pass_time(1)
    world.pass_time(config.no_fit_grace_s)
    assert outcome(world, task) is Outcome.NO_WORKER_FITS


def test_a_worker_with_room_for_what_it_was_before_downloads_it_again() -> None:
    # given a URL whose copies are lost, and two workers, the first of them short of room
    world = World(workers=1)
    file = world.url(URL)
    world.submit((file,))
    world.settle()
    world.lose("w1")
    world.now += 1
    full, empty = world.join("full"), world.join("empty")
    for worker, free in ((full, 1000), (empty, 1 << 30)):
        world.say(WorkerStatus(0, free, 0, 0, 0, 0, 0), worker.peer)
    # when
    world.submit((file,))
    # then
    assert the_one(world)[0] is empty


def test_many_urls_are_shared_out_and_no_worker_has_more_than_its_cap() -> None:
    world = World(workers=2)
    tasks = [world.submit((world.url(f"{URL}/{number}"),)) for number in range(11)]
    assert [len(worker.downloading) for worker in world.workers.values()] == [config.downloads_per_worker_max] * 2
    assert "waits for a worker to download" in world.core.why(tasks[-1], world.now)
    world.settle()
    assert {outcome(world, task) for task in tasks} == {Outcome.SUCCESS}


def test_of_a_large_fleet_all_take_part() -> None:
    world = World(workers=2 * config.download_workers_compared)
    for number in range(4):
        world.submit((world.url(f"{URL}/{number}"),))
    names = {worker.worker_id for worker in downloaders(world)}
    assert len(names) == 4
    assert any(int(name[1:]) > config.download_workers_compared for name in names)


def test_a_download_waits_for_a_worker_to_come() -> None:
    world = World()
    task = world.submit((world.url(URL),))
    assert world.core.why(task, world.now) == f"waits for a worker to download {URL}: none is connected"
    world.join()
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS


# --- what nobody needs any more ------------------------------------------------------------------


def test_a_download_that_nobody_needs_any_more_is_stopped() -> None:
    world = World(workers=1)
    task = world.submit((world.url(URL),))
    worker, download = the_one(world)
    world.say(m.CancelTasks((task,)))
    assert worker.stopped == {download}
    world.settle()
    assert world.core.snapshot(world.now)["downloads"] == []


def test_what_is_needed_again_waits_until_the_stopped_download_has_ended() -> None:
    # given a download that was told to stop and has not answered
    world = World(workers=2)
    file = world.url(URL)
    world.say(m.CancelTasks((world.submit((file,)),)))
    first, download = the_one(world)
    # when it is needed again
    task = world.submit((file,))
    # then nobody else begins before it has ended
    assert downloaders(world) == [first]
    assert "has not answered" in world.core.why(task, world.now)
    world.download_ends(first, download, DownloadFault.ABANDONED)
    assert len(downloaders(world)) == 1
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS


def test_a_download_that_ends_before_it_can_be_stopped_is_content_all_the_same() -> None:
    world = World(workers=1)
    file = world.url(URL)
    world.say(m.CancelTasks((world.submit((file,)),)))
    arrive(world)
    assert world.core.state.files.is_available(file)


def test_a_download_whose_files_are_gone_leaves_nothing() -> None:
    world = World(workers=1)
    world.submit((world.url(URL),))
    worker, download = the_one(world)
    world.say(m.ClientBye())
    world.download_ends(worker, download, DownloadFault.NONE)
    assert not worker.holds
    assert not world.core.state.files.objects


# --- what is declared wrongly --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (FileKind.URL, {}),
        (FileKind.TEMP, {"url": URL}),
        (FileKind.URL, {"url": URL, "path": "/data/file"}),
        (FileKind.URL, {"url": URL, "data": b"data"}),
    ],
)
def test_a_url_without_its_kind_and_the_other_way_round_is_malformed(kind: FileKind, fields: dict[str, object]) -> None:
    world = World()
    world.declare(kind, **fields)
    assert world.core.state.strange == 1
    assert not world.core.state.files.by_id


def test_a_url_is_no_task_s_output() -> None:
    world = World(workers=1)
    task = world.submit(outputs=(world.url(URL),))
    assert outcome(world, task) is Outcome.OUTPUT_MISSING


# --- what is told --------------------------------------------------------------------------------


def test_a_task_says_who_downloads_what_it_waits_for() -> None:
    world = World(workers=1)
    tasks = [world.submit((world.url(URL),)), world.submit((world.untar(world.url(URL)),))]
    world.now += 2
    for task in tasks:
        assert world.core.why(task, world.now) == f"waits for {URL}, which w1 downloads since 2.0 s"


def test_the_last_trouble_is_told_while_a_download_waits_for_another_worker() -> None:
    world = World(workers=2)
    tasks = [world.submit((world.url(f"{URL}/{number}"),)) for number in range(2 * config.downloads_per_worker_max + 1)]
    worker = next(iter(world.workers.values()))
    world.download_ends(worker, next(iter(worker.downloading)), DownloadFault.UNREACHABLE)
    reasons = [world.core.why(task, world.now) for task in tasks]
    assert any("(the last try: " in reason and "unreachable on w1" in reason for reason in reasons)


def test_a_snapshot_tells_of_downloads_and_that_none_is_done_by_two() -> None:
    world = World(workers=2)
    file = world.url(URL)
    world.submit((file,))
    world.now += 1
    told = world.core.snapshot(world.now)
    assert told["downloads"] == [{"label": URL, "worker": "w1", "seconds": 1.0, "trouble": "", "files": [file]}]
    assert told["downloads_of_one_url_max"] == 1
    world.settle()
    told = world.core.snapshot(world.now)
    assert (told["downloads"], told["downloads_done"], told["downloads_failed"]) == ([], 1, 0)
    assert told["bytes_from_urls"] == manifest(URL).size


def test_a_factory_hears_of_tasks_whose_urls_wait_for_a_worker_and_spares_workers_that_download() -> None:
    # given a factory and no worker
    world = World()
    factory = PeerKey("factory")
    world.say(m.FactoryHello("f", "local", 0, 2, Resources(1)), factory)
    world.submit((world.url(URL),))
    # when
    world.pass_time(config.statistics_interval_s)
    # then it is to start one
    (demand,) = [message for peer, message in demands(world) if peer == factory][-1:]
    assert demand.waiting == (WorkDemand(Request(cores=1), 1),)
    # and does not end the one that downloads
    world.join("w1")
    world.pass_time(config.statistics_interval_s)
    (demand,) = [message for peer, message in demands(world) if peer == factory][-1:]
    assert (demand.connected, demand.idle) == (("w1",), ())


def demands(world: World) -> list[tuple[PeerKey, m.FleetDemand]]:
    sent = [action for action in world.done if isinstance(action, Send)]
    return [(action.peer, action.message) for action in sent if isinstance(action.message, m.FleetDemand)]


def test_who_asks_for_the_content_of_a_file_and_forgets_it_is_answered() -> None:
    # given a client that waits for the content
    world = World(workers=1)
    file = world.url(URL)
    world.say(m.BringFile(file))
    worker, download = the_one(world)
    # when
    world.say(m.ForgetFiles((file,)))
    # then
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is None and "not declared any more" in brought.message
    assert worker.stopped == {download}


def test_copies_that_are_lost_while_a_client_still_waits_for_a_forgotten_file_are_downloaded_again() -> None:
    # given a file that a task still uses, which its client has asked for and forgotten
    world = World(workers=2)
    file = world.url(URL)
    world.submit((file,))
    holder = arrive(world)
    world.say(m.BringFile(file), world.client)
    world.say(m.ForgetFiles((file,)))
    # when its only copy is lost
    world.lose(holder.worker_id)
    assert len(downloaders(world)) == 1
    world.settle()
    # then the client has it all the same, or an answer
    assert [message for message in world.inbox if isinstance(message, m.FileBrought)]


def test_a_content_that_is_lost_on_its_way_to_a_client_is_downloaded_again() -> None:
    world = World(workers=2)
    world.say(m.BringFile(world.url(URL)))
    holder = arrive(world)
    assert world.local
    world.lose(holder.worker_id)
    assert not world.local
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is not None
    assert world.downloaded == {URL: 2}
