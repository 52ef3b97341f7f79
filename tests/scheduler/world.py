"""A run without sockets: the true scheduler, a client's inbox, and workers that do as they are told."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from tests.scheduler.fake_worker import FakeWorker
from vine.content.manifest import chunk_count, object_id
from vine.names import MANAGER, ClientId, FileId, HostId, ObjectId, RunId, TaskId, WorkerId, numbered
from vine.scheduler import actions
from vine.scheduler.actions import LocalFetched, LocalFetchFailed, LocalVerified, PeerKey
from vine.scheduler.check import check
from vine.scheduler.core import Scheduler
from vine.scheduler.settings import Settings
from vine.transfer import tokens
from vine.wire import messages as m
from vine.wire import worker_messages as w
from vine.wire.codec import Decoder, encode_one
from vine.wire.parts import (
    Assignment,
    AttemptResult,
    CacheLevel,
    DownloadFault,
    FetchFault,
    FileKind,
    FileSpec,
    MadeOutput,
    Manifest,
    Measured,
    Mount,
    Outcome,
    Request,
    Resources,
    Signature,
    TaskKind,
    TaskResult,
    TaskSpec,
    Times,
)

CHUNK = 256 << 10

_anything_sent: Decoder[m.Message] = Decoder(m.ToClient | w.ToWorker | m.ToFactory)


def manifest(name: str, chunks: int = 8) -> Manifest:
    """Some content; equal names are equal content."""
    first = random.Random(name).randbytes(32)
    return Manifest(1, chunks * CHUNK, CHUNK, first * chunks)


class World:
    """Drives the scheduler; `check` runs after every step."""

    def __init__(self, workers: int = 0, cores: float = 1, patience: float = 1, **settings: Any) -> None:
        self.settings = Settings(
            run_id=RunId("r"), epoch=1, run_dir="/run", staging_dir="/run/staging", host_id="here",
            run_secret=b"s" * 32, requests_endpoint="tcp://127.0.0.1:1", chunks_endpoint="tcp://127.0.0.1:2",
            source_patience=patience, **settings,
        )  # fmt: skip
        self.core = Scheduler(self.settings)
        self.now = 0.0
        self.workers: dict[WorkerId, FakeWorker] = {}
        self.client = PeerKey("client")
        self.inbox: list[m.Message] = []
        self.results: dict[TaskId, TaskResult] = {}
        self.local: dict[object, actions.Fetch] = {}
        self.served: set[ObjectId] = set()
        self.verifying: list[ObjectId] = []  # what the manager hashes again
        self.done: list[actions.Action] = []
        self.outcome: Callable[[Assignment], Outcome] = lambda assignment: Outcome.SUCCESS
        self.value: Callable[[Assignment], bytes] = lambda assignment: b"v"
        self.large_values = False
        self.content: Callable[[Assignment], str] = lambda assignment: f"value {assignment.task_id}"  # of large ones
        self.measured: Callable[[Assignment], Measured | None] = lambda assignment: None
        self.seconds: Callable[[FakeWorker], float] = lambda worker: 0.1  # that a transfer to it takes
        self.runs: dict[TaskId, int] = {}
        self.web: dict[str, str] = {}  # what each URL leads to at present, where it is not its own name
        self.downloaded: Counter[str] = Counter()
        self._numbers = self._versions = 0
        self.say(m.ClientHello(ClientId("c"), HostId("here"), "3.11"))
        for _ in range(workers):
            self.join(cores=cores)

    # --- the driver ------------------------------------------------------------------------------

    def step(self, todo: list[actions.Action]) -> None:
        self.done += todo
        for action in todo:
            if isinstance(action, actions.Send):
                _anything_sent.decode_one(encode_one(action.message))
            match action:
                case actions.Send(peer, message) if peer == self.client:
                    self.inbox.append(message)
                    if isinstance(message, m.TasksEnded):
                        for result in message.results:
                            assert result.task_id not in self.results, "a result was committed twice"
                            self.results[result.task_id] = result
                case actions.Send(peer, message):
                    for worker in self.workers.values():
                        if worker.peer == peer:
                            self._check_tokens(worker, message)
                            worker.take(message)
                case actions.Fetch(order):
                    self.local[order.transfer_id] = action
                case actions.VerifyServed(doubted):
                    self.verifying.append(doubted)
                case actions.AbandonLocal(transfer_id):
                    self.local.pop(transfer_id, None)
                case actions.Serve(served):
                    self.served.add(served)
                case actions.StopServing(served):
                    self.served.discard(served)
        check(self.core.state)
        self.check_copies()
        self.check_downloads()

    def check_downloads(self) -> None:
        """No URL is being downloaded by two workers, whatever the manager thinks."""
        at_once = Counter(order.url for worker in self.workers.values() for order in worker.downloading.values())
        assert max(at_once.values(), default=0) <= 1, f"two download one URL: {at_once}"

    def _check_tokens(self, worker: FakeWorker, message: m.Message) -> None:
        """Every source and every backup will find that the receiver may ask it for this object."""
        if not isinstance(message, w.FetchObject | w.ChangeSources):
            return
        running = worker.fetching.get(message.transfer_id)
        object_id = message.object_id if isinstance(message, w.FetchObject) else running and running.object_id
        for edge in (*message.sources, *message.backups) if object_id is not None else ():
            if edge is not None:
                key = tokens.source_key(self.settings.run_secret, edge.source)
                assert edge.token == tokens.mint(key, message.transfer_id, object_id, worker.chunks_endpoint)

    def check_copies(self) -> None:
        """Of what workers alone have, one does not think that it may give it up."""
        for known in self.core.state.files.objects.values():
            holders = [self.workers[holder] for holder in known.holders if holder in self.workers]
            if holders and known.data is None and known.archive is None and "manager" not in known.holders:
                kept = [holder for holder in holders if known.object_id not in holder.spare]
                assert kept, f"all may give up {known.object_id}"

    def say(self, message: m.Message, peer: PeerKey | None = None) -> None:
        self.step(self.core.handle(peer or self.client, message, self.now))

    def pass_time(self, seconds: float, silent: Collection[FakeWorker] = ()) -> None:
        """Time passes; everybody who is there is heard meanwhile, but for those who are `silent`."""
        self.now += seconds
        for peer in (self.client, *(worker.peer for worker in self.workers.values() if worker not in silent)):
            self.core.heard(peer, self.now)
        self.step(self.core.tick(self.now))

    # --- workers ---------------------------------------------------------------------------------

    def join(
        self,
        name: str | None = None,
        cores: float = 1,
        memory_mb: float = 1000,
        found: tuple[ObjectId, ...] = (),
        host: str | None = None,
        hostname: str = "host",
        wall_time_s: float | None = None,
        time_left_s: float | None = None,
        features: tuple[str, ...] = (),
    ) -> FakeWorker:
        """A worker comes; `found` is what it has kept for ever. Those of one `host` share a store."""
        number = self._number()
        worker_id = WorkerId(name or f"w{number}")
        worker = FakeWorker(worker_id, PeerKey(f"peer-{number}"), cores, f"tcp://127.0.0.1:{20000 + number}")
        worker.host = host or f"host-{worker_id}"
        self.workers[worker_id] = worker
        hello = w.WorkerHello(
            worker_id, HostId(worker.host), hostname, 1, Resources(cores, memory_mb, 1000, 0), features, "3.11",
            f"tcp://127.0.0.1:{10000 + number}", worker.chunks_endpoint,
            wall_time_s=wall_time_s, time_left_s=wall_time_s if time_left_s is None else time_left_s,
        )  # fmt: skip
        worker.holds.update(found)
        worker.forever.update(found)
        self.say(hello, worker.peer)
        if found:
            self.say(w.ObjectsHeld(found, found), worker.peer)
        return worker

    def report(self, worker: FakeWorker, free_disk_bytes: int = 1 << 40) -> None:
        """The worker says how much room its disk has."""
        self.say(w.WorkerStatus(0, free_disk_bytes, 0, 0, 0, 0, 0), worker.peer)

    def evict(self, worker: FakeWorker, *object_ids: ObjectId) -> None:
        """The worker gives up what it may, for room."""
        assert set(object_ids) <= set(worker.may_go())
        worker.holds.difference_update(object_ids)
        worker.spare.difference_update(object_ids)
        self.say(w.ObjectsEvicted(object_ids), worker.peer)

    def lose(self, worker_id: str) -> None:
        worker = self.workers.pop(WorkerId(worker_id))
        self.step(self.core.peer_lost(worker.peer, "killed", self.now))

    def possible_events(self) -> list[tuple[str, FakeWorker | None, object]]:
        """Everything that could happen next on the workers and on the manager's node."""
        events: list[tuple[str, FakeWorker | None, object]] = []
        for worker in self.workers.values():
            events += [("stored", worker, o) for o in worker.storing[:1]]
            events += [("fetched", worker, t) for t, f in worker.fetching.items() if self._source_has(f)]
            events += [("unpacked", worker, u) for u in worker.unpacking if self._can_unpack(worker, u)]
            events += [("verified", worker, o) for o in worker.verifying]
            events += [("downloaded", worker, d) for d in worker.downloading]
            events += [("start", worker, a) for a, s in worker.assigned.items() if worker.has_inputs(s)]
            events += [("end", worker, a) for a in worker.running]
            events += [("stopped", worker, t) for t in worker.abandoned]
        events += [("verified", None, o) for o in self.verifying]
        events += [("brought", None, t) for t, f in self.local.items() if self._source_has(f.order)]
        return events

    def _can_unpack(self, worker: FakeWorker, order: w.UnpackObject) -> bool:
        """A mate may have done it."""
        mates = [mate for mate in self.workers.values() if mate.host == worker.host]
        return order.archive in worker.holds or any(order.object_id in mate.holds for mate in mates)

    def _source_has(self, order: w.FetchObject) -> bool:
        return all(self._can_give(order, stripe, set()) for stripe in range(len(order.sources)))

    def _can_give(self, order: w.FetchObject, stripe: int, asked: set[WorkerId]) -> bool:
        """Whether the source of this stripe has the object, or receives the stripe from one that can give it."""
        source = order.sources[stripe % len(order.sources)].source
        if source == MANAGER:
            return order.object_id in self.served
        if source in asked or source not in self.workers:
            return False
        worker = self.workers[source]
        orders = [above for above in worker.fetching.values() if above.object_id == order.object_id]
        return order.object_id in worker.holds or any(
            self._can_give(above, stripe, asked | {source}) for above in orders
        )

    def happen(self, event: tuple[str, FakeWorker | None, object]) -> None:
        kind, worker, what = event
        if kind == "verified":
            self.verified(worker, what, good=True)  # type: ignore[arg-type]
            return
        if worker is None:
            order = self.local.pop(what).order
            self.step(self.core.local(LocalFetched(order.transfer_id, order.object_id, 1, 0.1), self.now))
            return
        if kind == "stored":
            worker.storing.remove(what)  # type: ignore[arg-type]
            worker.came(what, CacheLevel.WORKFLOW)  # type: ignore[arg-type]
            self.say(w.ObjectsHeld((what,)), worker.peer)  # type: ignore[arg-type]
        elif kind == "fetched":
            self.fetch_ends(worker, what, FetchFault.NONE)
        elif kind == "unpacked":
            assert isinstance(what, w.UnpackObject)
            worker.unpacking.remove(what)
            worker.came(what.object_id, what.cache)
            self.say(w.ObjectsHeld((what.object_id,)), worker.peer)
        elif kind == "downloaded":
            stopped = what in worker.stopped
            self.download_ends(worker, what, DownloadFault.ABANDONED if stopped else DownloadFault.NONE)
        elif kind == "start":
            worker.running[what] = worker.assigned.pop(what)
            self.say(w.TasksStarted((what,)), worker.peer)  # type: ignore[arg-type]
        elif kind == "end":
            self._end(worker, what)
        elif kind == "stopped":
            self.say(worker.stops(what), worker.peer)

    def fetch_ends(
        self, worker: FakeWorker, transfer: object, fault: FetchFault, blamed: WorkerId | None = None
    ) -> None:
        order = worker.fetching.pop(transfer)
        if fault is FetchFault.NONE:
            worker.came(order.object_id, order.cache)
        chunks = chunk_count(order.manifest) if fault is FetchFault.NONE else 0
        sources = [edge.source for edge in order.sources]
        from_manager = CHUNK * sum(sources[index % len(sources)] == MANAGER for index in range(chunks))
        if sources[0] in self.workers and self.workers[sources[0]].host == worker.host:
            chunks = from_manager = 0  # It is in the store already.
        size = CHUNK * chunks
        ended = w.FetchEnded(
            order.transfer_id,
            order.object_id,
            fault,
            size,
            self.seconds(worker),
            fault.value,
            blamed or sources[0],
            from_manager,
        )
        self.say(ended, worker.peer)

    def verified(self, worker: FakeWorker | None, object_id: ObjectId, good: bool) -> None:
        """A copy that was doubted has been hashed again: a worker's, or (None) what the manager serves."""
        if worker is None:
            self.verifying.remove(object_id)
            self.step(self.core.local(LocalVerified(object_id, "" if good else "it changed"), self.now))
            return
        worker.verifying.remove(object_id)
        if object_id not in worker.holds:
            return  # It went meanwhile, and that was told.
        if good:
            self.say(w.ObjectsHeld((object_id,)), worker.peer)
        else:
            worker.holds.discard(object_id)
            worker.spare.discard(object_id)
            self.say(w.ObjectsLost((object_id,), "its bytes are not its own"), worker.peer)

    def download_ends(self, worker: FakeWorker, download: object, fault: DownloadFault) -> None:
        """What the worker reports; of a URL's content, what `web` says that it is."""
        order = worker.downloading.pop(download)
        worker.stopped.discard(download)
        if fault is not DownloadFault.NONE:
            message = f"{order.label}: {fault.value} on {worker.worker_id}"
            self.say(w.DownloadEnded(order.download_id, fault, message=message), worker.peer)
            return
        self.downloaded[order.url] += 1
        content = manifest(self.web.get(order.url, order.url))
        worker.made(object_id(content))
        self.say(w.DownloadEnded(order.download_id, fault, object_id(content), content, content.size), worker.peer)

    def local_fetch_fails(self, transfer: object, fault: FetchFault) -> None:
        order = self.local.pop(transfer).order
        event = LocalFetchFailed(order.transfer_id, order.object_id, fault, fault.value, 0, 0.1)
        self.step(self.core.local(event, self.now))

    def _end(self, worker: FakeWorker, attempt: object) -> None:
        assignment = worker.running.pop(attempt)
        if assignment is None:
            self.say(w.AttemptsEnded((AttemptResult(attempt, Outcome.CANCELLED),)), worker.peer)  # type: ignore[arg-type]
            return
        self.runs[assignment.task_id] = self.runs.get(assignment.task_id, 0) + 1
        outcome = self.outcome(assignment)
        outputs = []
        value: dict[str, object] = {}
        for mount in [each for each in assignment.outputs if each.when.holds(outcome is Outcome.SUCCESS)]:
            self._versions += 1
            made = manifest(f"output {mount.file_id} version {self._versions}", 4)
            outputs.append(MadeOutput(mount.file_id, object_id(made), made))
            worker.made(object_id(made))
        if outcome is Outcome.SUCCESS:
            if self.large_values:
                made = manifest(self.content(assignment), 4)
                worker.made(object_id(made))
                value = {"value_object": object_id(made), "value_manifest": made}
            elif assignment.kind is TaskKind.CALL:
                value = {"value": self.value(assignment)}
        result = AttemptResult(
            assignment.attempt,
            outcome,
            outputs=tuple(outputs),
            times=Times(run_s=1.0),
            measured=self.measured(assignment),
            **value,  # type: ignore[arg-type]
        )
        self.say(w.AttemptsEnded((result,)), worker.peer)

    def settle(self, steps: int = 10_000) -> None:
        """Let happen what can, in a fixed order, until nothing can."""
        for _ in range(steps):
            events = self.possible_events()
            if not events:
                return
            self.happen(events[0])
        raise AssertionError("the world does not come to rest")

    # --- the client ------------------------------------------------------------------------------

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def declare(self, kind: FileKind, **fields: object) -> FileId:
        file_id = FileId(numbered(0, self._number()))
        options: dict[str, object] = {"cache": CacheLevel.WORKFLOW, "label": f"{kind.value} {file_id}", **fields}
        self.say(m.DeclareFiles((FileSpec(file_id, kind, **options),)))  # type: ignore[arg-type]
        return file_id

    def buffer(self, data: bytes = b"data", **fields: object) -> FileId:
        return self.declare(FileKind.BUFFER, data=data, **fields)

    def local_file(self, name: str = "big", chunks: int = 8, bind: bool = True, **fields: object) -> FileId:
        file_id = self.declare(FileKind.LOCAL, path=f"/data/{name}", **fields)
        if bind:
            self.bind(file_id, name, chunks)
        return file_id

    def bind(self, file_id: FileId, name: str = "big", chunks: int = 8) -> ObjectId:
        content = manifest(name, chunks)
        signature = Signature(content.size, 1, 1)
        path = self.core.state.files.by_id[file_id].spec.path
        assert path is not None
        self.say(m.FileBound(file_id, object_id(content), content, path, signature))
        return object_id(content)

    def temp(self, **fields: object) -> FileId:
        return self.declare(FileKind.TEMP, **fields)

    def url(self, url: str = "https://example.org/data", **fields: object) -> FileId:
        return self.declare(FileKind.URL, url=url, **{"label": url, **fields})

    def untar(self, archive: FileId, **fields: object) -> FileId:
        return self.declare(FileKind.UNTAR, source=archive, **fields)

    def broadcast(self, file_id: FileId, count: int | None = None, workers: tuple[str, ...] = ()) -> int:
        """Returns what numbers the answer."""
        request = self._number()
        self.say(m.SpreadFile(request, file_id, count, tuple(WorkerId(name) for name in workers)))
        return request

    def answer(self, request: int) -> m.FileSpread | None:
        """What the client has been told of a broadcast."""
        answers = [a for a in self.inbox if isinstance(a, m.FileSpread) and a.request == request]
        assert len(answers) <= 1, "a broadcast was answered twice"
        return answers[0] if answers else None

    def submit(
        self,
        inputs: tuple[FileId, ...] = (),
        outputs: tuple[FileId, ...] = (),
        depends: tuple[TaskId, ...] = (),
        kind: TaskKind = TaskKind.CALL,
        **fields: object,
    ) -> TaskId:
        task_id = self.new_task_id()
        options: dict[str, object] = {"request": Request(cores=1), **fields}
        spec = TaskSpec(
            task_id,
            kind,
            inputs=tuple(Mount(file_id, f"in{i}") for i, file_id in enumerate(inputs)),
            outputs=tuple(Mount(file_id, f"out{i}") for i, file_id in enumerate(outputs)),
            depends=depends,
            **options,  # type: ignore[arg-type]
        )
        self.say(m.SubmitTasks((spec,)))
        return task_id

    def new_task_id(self) -> TaskId:
        return TaskId(numbered(0, self._number()))

    def state_of(self, task_id: TaskId) -> str:
        return self.core.state.tasks.by_id[task_id].state.value

    def worker_of(self, task_id: TaskId) -> WorkerId | None:
        attempt = self.core.state.tasks.by_id[task_id].attempt
        return None if attempt is None else attempt.worker

    def sent(self, kind: type) -> list[actions.Action]:
        return [a for a in self.done if isinstance(a, actions.Send) and isinstance(a.message, kind)]
