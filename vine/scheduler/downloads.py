"""Which worker downloads which URL: one at a time has it, and whoever else needs the content gets it from there.

A download is of a URL and not of a file: however many files of however many clients name it, it runs once, and
all of them are bound to what came of it. What has changed at its source since is bound when all copies of what it
was are lost, as a re-made temporary file is: to all files of that URL at once, and tasks that had not started go
back to take it. So no task sees two versions of a URL, but two tasks may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from vine import config
from vine.content.manifest import check_object
from vine.errors import MalformedMessage
from vine.names import FileId, ObjectId, TransferId, WorkerId
from vine.scheduler import collecting, dispatch, existence, fleet, keeping
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.flows import summed
from vine.scheduler.records import ObjectBound, TransferEnded
from vine.scheduler.tasks import TaskRecord
from vine.scheduler.workers import WorkerRecord, could_fit, has_features
from vine.wire.parts import DownloadFault, Manifest, Outcome, Request
from vine.wire.worker_messages import AbandonDownload, DownloadEnded, DownloadUrl

if TYPE_CHECKING:
    from vine.scheduler.state import State

# Another worker may have more luck.
_MAYBE_ELSEWHERE = frozenset({
    DownloadFault.UNREACHABLE, DownloadFault.UNREADABLE, DownloadFault.DISK_FULL, DownloadFault.NOT_KEPT,
    DownloadFault.ABANDONED,
})  # fmt: skip
_SKIPPED_MAX = 64  # Downloads that no free worker can do, before the next step goes on with others.
_TASKS_LOOKED_AT = 4  # Of those that wait for a URL: they mostly ask for the same.


@dataclass(slots=True)
class Download:
    """A URL that is needed and that nobody has: it waits for a worker, or one downloads it."""

    url: str
    label: str
    needed: dict[FileId, None] = field(default_factory=dict)  # files that tasks or clients wait for
    download_id: TransferId | None = None
    worker: WorkerId | None = None
    began_at: float = 0.0
    stopping: bool = False  # The worker was told to, and has not answered: until then nobody else may begin.
    failures: int = 0
    failed_on: set[WorkerId] = field(default_factory=set)
    losses: int = 0  # of workers that were at it
    trouble: str = ""  # how the last try ended


class Downloads:
    """All downloads that are needed, and how many there have been."""

    def __init__(self) -> None:
        self.by_url: dict[str, Download] = {}
        self.waiting: dict[str, Download] = {}  # of those, the ones that no worker is at
        self.running: dict[TransferId, Download] = {}
        self.at: Counter[WorkerId] = Counter()  # how many run there
        self.full: set[WorkerId] = set()  # where no more may run
        self.looking = False  # a download or a worker for one may have appeared in this step
        self.begun = 0
        self.done = 0
        self.failed = 0
        self.changed = 0  # contents that were not what they had been before
        self.bytes_received = 0
        self.at_once_max = 0  # the most that ever ran of one URL
        self._at_once: Counter[str] = Counter()

    def add(self, url: str, label: str) -> Download:
        download = self.by_url[url] = self.waiting[url] = Download(url, label)
        return download

    def drop(self, download: Download) -> None:
        """It is not needed any more, or has ended for good."""
        del self.by_url[download.url]
        self.waiting.pop(download.url, None)

    def start(self, download: Download, worker: WorkerId, download_id: TransferId, now: float) -> None:
        assert download.worker is None, f"{download.label} is being downloaded already"
        download.worker, download.download_id, download.began_at = worker, download_id, now
        del self.waiting[download.url]
        self.running[download_id] = download
        self.at[worker] += 1
        if self.at[worker] >= config.downloads_per_worker_max:
            self.full.add(worker)
        self.begun += 1
        self._at_once[download.url] += 1
        self.at_once_max = max(self.at_once_max, self._at_once[download.url])

    def stop(self, download: Download) -> None:
        """It does not run any more, however it ended."""
        assert download.worker is not None and download.download_id is not None
        del self.running[download.download_id]
        self._at_once[download.url] -= 1
        if not self._at_once[download.url]:
            del self._at_once[download.url]
        self.at[download.worker] -= 1
        self.full.discard(download.worker)
        if not self.at[download.worker]:
            del self.at[download.worker]
        download.worker = download.download_id = None
        download.stopping = False
        self.waiting[download.url] = download
        self.looking = True


# --- what is needed ------------------------------------------------------------------------------


def want(state: State, file: FileRecord) -> None:
    """A file of a URL is needed, by itself or to be unpacked, and nobody has its content."""
    url = file.spec.url
    assert url is not None
    download = state.downloads.by_url.get(url)
    if download is None:
        download = state.downloads.add(url, file.spec.label)
    download.needed[file.file_id] = None
    state.downloads.looking = True


def forgo(state: State, file: FileRecord) -> None:
    """A task or client does not wait for it any more: if nobody does for any file of its URL, its download stops."""
    if not state.downloads.by_url:
        return
    if file.spec.source is not None:
        archive = state.files.by_id.get(file.spec.source)
        if archive is not None and archive.spec.url is not None:
            forgo(state, archive)
        return
    download = None if file.spec.url is None else state.downloads.by_url.get(file.spec.url)
    if download is None or is_waited_for(state, file):
        return
    download.needed.pop(file.file_id, None)
    if download.needed:
        return
    if download.download_id is None:
        state.downloads.drop(download)
    elif not download.stopping:
        assert download.worker is not None
        download.stopping = True
        state.tell_worker(download.worker, AbandonDownload(download.download_id))


def is_waited_for(state: State, file: FileRecord) -> bool:
    """Whether a task or a client waits for the file, or for what is unpacked from it."""
    if file.bring:
        return True
    wanted = (file.file_id, *file.unpacked)
    return any(state.files.by_id[file_id].waiting or state.copies.is_awaited(file_id) for file_id in wanted)


def _waiting(state: State, download: Download) -> list[TaskRecord]:
    """Some tasks that wait for it."""
    files = (state.files.by_id[file_id] for file_id in download.needed)
    sets = (own for file in files for own in (file.waiting, *(state.files.by_id[u].waiting for u in file.unpacked)))
    return [state.tasks.by_id[task_id] for task_id in islice(chain.from_iterable(sets), _TASKS_LOOKED_AT)]


def share(state: State, file: FileRecord) -> None:
    """A new file of a URL whose content the run has already stands for that."""
    assert file.spec.url is not None
    present = _present(state, file.spec.url)
    if present is not None:
        _stand_for(state, file, present)


def _before(state: State, url: str) -> ObjectRecord | None:
    """What the URL's content was, whether or not there are copies."""
    object_id = state.files.content_of_url.get(url)
    return None if object_id is None else state.files.objects.get(object_id)


def _present(state: State, url: str) -> ObjectRecord | None:
    """The content of the URL that the run has."""
    known = _before(state, url)
    return known if known is not None and state.files.can_be_had(known) else None


def _stand_for(state: State, file: FileRecord, known: ObjectRecord) -> None:
    assert known.manifest is not None, "what was downloaded has a manifest"
    _bind(state, file, known.object_id, known.manifest)


# --- who does it ---------------------------------------------------------------------------------


def settle(state: State) -> None:
    """Give every download that waits for one a worker, if there is one for it."""
    downloads = state.downloads
    if not downloads.looking or state.stopping:
        return
    downloads.looking = False
    slots = config.downloads_per_worker_max * len(state.workers) - len(downloads.running)
    skipped = 0
    while slots > 0 and skipped < min(len(downloads.waiting), _SKIPPED_MAX):
        download = next(iter(downloads.waiting.values()))
        worker = _choose(state, download)
        if worker is not None:
            slots -= 1
            download_id = state.next_transfer()
            downloads.start(download, worker.worker_id, download_id, state.now)
            state.send(worker.peer, DownloadUrl(download_id, download.url, download.label))
        else:
            # It has failed on all that are free: others go before it.
            downloads.waiting[download.url] = downloads.waiting.pop(download.url)
            skipped += 1


def _choose(state: State, download: Download) -> WorkerRecord | None:
    """Of workers that a task which waits for it fits and that have room, who holds most of its other inputs."""
    tasks = _waiting(state, download)
    held: Counter[WorkerId] = Counter()
    for record in tasks:
        of_this: Counter[WorkerId] = Counter()
        for worker_id, size in dispatch.held_bytes(state, record):
            of_this[worker_id] += int(size)
        held |= of_this
    before = _before(state, download.url)
    size_before = 0 if before is None or before.manifest is None else before.manifest.size
    best, best_score = None, None
    for worker_id in dict.fromkeys([*held, *_some_workers(state)]):
        worker = state.workers.get(worker_id)
        if worker is None or worker_id in download.failed_on or worker_id in state.downloads.full:
            continue
        score = (
            worker.open,
            not tasks or any(_fits(record, worker) for record in tasks),
            worker.status is None or worker.status.free_disk_bytes >= size_before,
            held[worker_id],
            -state.downloads.at[worker_id],
            -worker.load,
        )
        if best_score is None or score > best_score:
            best, best_score = worker, score
    return best


def _some_workers(state: State) -> Iterator[WorkerId]:
    """All that may do one more, of a small fleet; of a large one as many as are worth comparing, others each time."""
    workers, most = list(state.workers), config.download_workers_compared
    first = state.downloads.begun * most % len(workers) if len(workers) > most else 0
    free = (worker_id for worker_id in chain(workers[first:], workers[:first]) if worker_id not in state.downloads.full)
    return islice(free, most)


def _fits(record: TaskRecord, worker: WorkerRecord) -> bool:
    spec = record.spec
    able = could_fit(record.request, worker.capacity) and has_features(worker, spec.features)
    return able and worker.worker_id not in record.avoid


def requests(state: State) -> Iterator[Request]:
    """What tasks ask for whose URLs wait for a worker, one for each: without it a fleet of none would stay so."""
    for download in state.downloads.waiting.values():
        tasks = _waiting(state, download)
        yield tasks[0].request if tasks else Request()


# --- how it ends ---------------------------------------------------------------------------------


def ended(state: State, worker: WorkerRecord, message: DownloadEnded) -> None:
    """A worker reports a download's end."""
    downloads = state.downloads
    downloads.bytes_received = summed(downloads.bytes_received, message.received_bytes)
    download = downloads.running.get(message.download_id)
    if download is None or download.worker != worker.worker_id:
        _drop_leftover(state, worker, message.object_id)
        return
    was_stopping = download.stopping
    downloads.stop(download)
    flow = message.download_id, message.object_id, (download.label,), worker.worker_id
    state.record(TransferEnded(*flow, message.fault.value, message.received_bytes, 0, message.seconds, True))
    if message.fault is DownloadFault.NONE:
        try:
            object_id, manifest = _content_of(message)
        except MalformedMessage as malformed:
            state.strange += 1
            text = f"{worker.worker_id} reported something else than it had downloaded: {malformed}"
            _failed_here(state, download, worker.worker_id, text)
            return
        _arrived(state, download, worker, object_id, manifest)
    elif not download.needed:
        downloads.drop(download)
    elif message.fault not in _MAYBE_ELSEWHERE:
        _failed(state, download, message.message)
    elif not (message.fault is DownloadFault.ABANDONED and was_stopping):
        outcome = Outcome.DISK_FULL if message.fault is DownloadFault.DISK_FULL else Outcome.INPUT_MISSING
        _failed_here(state, download, worker.worker_id, message.message, outcome)


def _content_of(message: DownloadEnded) -> tuple[ObjectId, Manifest]:
    if message.object_id is None or message.manifest is None or message.manifest.tree is not None:
        raise MalformedMessage("no file")
    check_object(message.object_id, message.manifest)
    return message.object_id, message.manifest


def _drop_leftover(state: State, worker: WorkerRecord, object_id: ObjectId | None) -> None:
    """A worker has made something that nobody waits for; it may be needed for another reason."""
    if object_id is not None:
        fleet.announced(state, worker, object_id, keeping.is_kept_for_ever(worker, object_id))


def _arrived(state: State, download: Download, worker: WorkerRecord, object_id: ObjectId, manifest: Manifest) -> None:
    """All files of the URL stand for this content from now on."""
    downloads = state.downloads
    downloads.drop(download)
    downloads.done += 1
    files = [file for file in state.files.of_url(download.url) if file.failure is None]
    if not files:
        _drop_leftover(state, worker, object_id)
        return
    present = _present(state, download.url)
    if present is not None and present.object_id != object_id:
        # Copies have come back meanwhile, and a URL is one content in the whole run.
        _drop_leftover(state, worker, object_id)
        for file in files:
            _stand_for(state, file, present)
    else:
        before = state.files.content_of_url.get(download.url)
        downloads.changed += before not in (None, object_id)
        state.files.content_of_url[download.url] = object_id
        for file in files:
            _bind(state, file, object_id, manifest)
        keeping.made_copy(state, worker, state.files.objects[object_id])
    for file in files:
        existence.file_exists(state, file)


def _bind(state: State, file: FileRecord, object_id: ObjectId, manifest: Manifest) -> None:
    if file.object_id != object_id:
        collecting.replace(state, file)
        keeping.bind(state, file, object_id, manifest)
        state.record(ObjectBound(file.file_id, object_id, manifest))


def _failed_here(
    state: State, download: Download, worker_id: WorkerId, message: str, outcome: Outcome = Outcome.INPUT_MISSING
) -> None:
    """It could not be had from one worker: another one tries."""
    download.failures += 1
    download.failed_on.add(worker_id)
    download.trouble = message
    if download.failures >= config.download_workers_max or state.workers.keys() <= download.failed_on:
        _failed(state, download, message, outcome)


def worker_lost(state: State, worker_id: WorkerId, reason: str) -> None:
    for download in [running for running in state.downloads.running.values() if running.worker == worker_id]:
        state.downloads.stop(download)
        download.losses += 1
        download.trouble = f"{download.label} could not be downloaded: {worker_id}, which did, was lost ({reason})"
        if not download.needed:
            state.downloads.drop(download)
        elif download.losses >= config.worker_losses_max:
            _failed(state, download, download.trouble)
    for download in [waiting for waiting in state.downloads.waiting.values() if waiting.failed_on]:
        if state.workers.keys() <= download.failed_on:
            download.failed_on.clear()  # Who could have had more luck is gone: those who are left try once more.
            state.downloads.looking = True


def _failed(state: State, download: Download, message: str, outcome: Outcome = Outcome.INPUT_MISSING) -> None:
    """It cannot be had: all that need it fail."""
    state.downloads.drop(download)
    state.downloads.failed += 1
    for file in list(state.files.of_url(download.url)):
        if file.failure is None and not state.files.is_available(file.file_id):
            existence.file_failed(state, file, outcome, message)
