"""Broadcasts of what is downloaded, and to workers that share a store, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.test_broadcasting import CHUNKS, failed, told
from tests.scheduler.world import World
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, Outcome
from vine.wire.worker_messages import AbandonDownload


def test_a_url_that_is_broadcast_is_downloaded_once_and_comes_to_all() -> None:
    world = World(workers=5)
    request = world.broadcast(world.url("https://example.org/data"))
    world.settle()
    assert told(world, request) == 5
    assert world.downloaded == {"https://example.org/data": 1}


def test_an_environment_from_a_url_is_downloaded_spread_and_unpacked_by_all() -> None:
    world = World(workers=3)
    request = world.broadcast(world.untar(world.url("https://example.org/data")))
    world.settle()
    assert told(world, request) == 3


def test_the_download_of_a_broadcast_that_is_called_off_is_stopped() -> None:
    world = World(workers=2)
    file = world.url("https://example.org/data")
    request = world.broadcast(file)
    world.say(m.PruneFiles((file,)))
    assert failed(world, request)[0] is Outcome.CANCELLED
    assert world.sent(AbandonDownload)
    world.settle()
    assert not world.core.state.downloads.by_url


def test_one_worker_of_a_host_brings_a_broadcast_there_and_its_mates_have_it_too() -> None:
    world = World(workers=0)
    for number in range(6):
        world.join(host=f"host{number % 2}")
    file = world.local_file(chunks=CHUNKS)
    request = world.broadcast(file)
    receiving = {worker.host for worker in world.workers.values() if worker.fetching}
    assert sorted(receiving) == ["host0", "host1"]
    assert sum(bool(worker.fetching) for worker in world.workers.values()) == 2
    world.settle()
    assert told(world, request) == 6


def test_an_archive_of_level_task_stays_while_a_folder_that_is_unpacked_from_it_is_broadcast() -> None:
    world = World(workers=1)
    archive = world.url(cache=CacheLevel.TASK)
    folder = world.untar(archive)
    task = world.submit((archive,))
    request = world.broadcast(folder, count=2)
    world.settle()
    assert task in world.results
    world.join()
    world.settle()
    answer = world.answer(request)
    assert answer is not None and answer.workers == 2
    assert world.downloaded["https://example.org/data"] == 1
