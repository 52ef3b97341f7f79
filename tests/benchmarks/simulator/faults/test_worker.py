"""What becomes of a worker's objects where things break."""

from __future__ import annotations

from tests.benchmarks.simulator.faults.worker_world import DATA, KEY, WorkerWorld
from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.names import ObjectId, TransferId
from vine.wire.parts import DownloadFault, InlineObject, ObjectMount
from vine.wire.worker_messages import (
    AbandonDownload,
    DownloadEnded,
    DownloadUrl,
    EndWorker,
    ObjectsEvicted,
    ObjectsHeld,
    ObjectsLost,
    StoreObjects,
    UnpackObject,
    VerifyObjects,
)

TREE = ObjectId("e" * 64)


def test_what_an_earlier_process_has_left_is_announced() -> None:
    world = WorkerWorld(left=[(KEY, DATA)])
    assert world.heard(ObjectsHeld) == [ObjectsHeld((KEY,), (KEY,))]


def test_what_an_attempt_needs_is_pinned_and_what_nobody_needs_is_given_up_and_told() -> None:
    world = WorkerWorld(left=[(KEY, DATA)])
    world.run(1, inputs=(ObjectMount(KEY, "data"),))
    assert not world.worker.store.give_up_one()
    world.wait()
    assert world.worker.store.give_up_one()
    world.wait()
    assert world.heard(ObjectsEvicted) == [ObjectsEvicted((KEY,))]


def test_small_objects_may_find_the_disk_full() -> None:
    world = WorkerWorld(disk_full_share=1.0)
    item = InlineObject(object_id(manifest_of_bytes(b"small")), b"small")
    world.worker.hear(StoreObjects((item,)))
    world.wait()
    (lost,) = world.heard(ObjectsLost)
    assert lost.object_ids == (item.object_id,) and lost.disk_full


def test_a_rotten_copy_is_found_out_when_it_is_verified() -> None:
    world = WorkerWorld(left=[(KEY, DATA)])
    world.worker.hear(VerifyObjects((KEY,)))
    world.wait()
    assert not world.heard(ObjectsLost)
    world.worker.store.rot()
    world.worker.hear(VerifyObjects((KEY,)))
    world.wait()
    assert world.heard(ObjectsLost)[0].object_ids == (KEY,) and KEY not in world.worker.store.manifests


def test_an_unpacked_folder_is_here_until_it_is_removed() -> None:
    world = WorkerWorld(left=[(KEY, DATA)])
    world.worker.hear(UnpackObject(TREE, KEY, "tree"))
    world.wait()
    assert world.heard(ObjectsHeld)[-1].object_ids == (TREE,) and TREE in world.worker.watch.folders


def test_downloads_end_once_however_they_end() -> None:
    world = WorkerWorld()
    world.worker.hear(DownloadUrl(TransferId(1, 1), "https://a", "a"))
    world.worker.hear(DownloadUrl(TransferId(1, 2), "https://b", "b"))
    world.worker.hear(AbandonDownload(TransferId(1, 2)))
    world.wait()
    ends = {ended.download_id.counter: ended for ended in world.heard(DownloadEnded)}
    assert ends[1].fault is DownloadFault.NONE and ends[1].object_id in world.worker.store.manifests
    assert ends[2].fault is DownloadFault.ABANDONED and len(world.heard(DownloadEnded)) == 2


def test_some_downloads_fail() -> None:
    world = WorkerWorld(download_failure_share=1.0)
    world.worker.hear(DownloadUrl(TransferId(1, 1), "https://a", "a"))
    world.wait()
    assert world.heard(DownloadEnded)[0].fault is not DownloadFault.NONE


def test_its_end_is_told_to_whoever_started_it() -> None:
    world, told = WorkerWorld(), list[str]()
    world.worker.on_end = told.append
    world.worker.hear(EndWorker("the run is over"))
    assert told == ["the run is over"] and world.worker.ended
