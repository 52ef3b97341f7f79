"""What tests of downloads ask of the world: who downloads, and what is to come of it."""

from __future__ import annotations

from tests.scheduler.world import FakeWorker, World, manifest
from vine.content.manifest import object_id
from vine.names import ObjectId, TaskId
from vine.wire.parts import DownloadFault, Outcome

URL = "https://example.org/data"


def downloaders(world: World) -> list[FakeWorker]:
    return [worker for worker in world.workers.values() if worker.downloading]


def the_one(world: World) -> tuple[FakeWorker, object]:
    """The worker that downloads, and what."""
    (worker,) = downloaders(world)
    (download,) = worker.downloading
    return worker, download


def fail(world: World, fault: DownloadFault) -> FakeWorker:
    worker, download = the_one(world)
    world.download_ends(worker, download, fault)
    return worker


def arrive(world: World) -> FakeWorker:
    worker, download = the_one(world)
    world.download_ends(worker, download, DownloadFault.NONE)
    return worker


def outcome(world: World, task: TaskId) -> Outcome:
    return world.results[task].outcome


def content_id(name: str) -> ObjectId:
    return object_id(manifest(name))
