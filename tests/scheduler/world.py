"""A run without sockets: the true scheduler, a client's inbox, and workers that do as they are told."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from vine.content.manifest import chunk_count, object_id
from vine.names import MANAGER, ClientId, FileId, HostId, ObjectId, RunId, TaskId, WorkerId, numbered
from vine.scheduler import actions
from vine.scheduler.actions import LocalFetched, LocalFetchFailed, PeerKey
from vine.scheduler.check import check
from vine.scheduler.core import Scheduler
from vine.scheduler.settings import Settings, Spread
from vine.wire import messages as m
from vine.wire.codec import Decoder, encode_one

CHUNK = 256 << 10

_anything_sent: Decoder[m.Message] = Decoder(m.ToClient | m.ToWorker | m.ToFactory)


def manifest(name: str, chunks: int = 8) -> m.Manifest:
    """Some content; equal names are equal content."""
    first = random.Random(name).randbytes(32)
    return m.Manifest(1, chunks * CHUNK, CHUNK, first * chunks)


@dataclass(repr=False)
class FakeWorker:
    """Does what the messages say, one step when it is asked to."""

    worker_id: WorkerId
    peer: PeerKey
    cores: float
    holds: set[ObjectId] = field(default_factory=set)
    spare: set[ObjectId] = field(default_factory=set)  # what it may give up for room
    forever: set[ObjectId] = field(default_factory=set)
    fetching: dict[object, m.FetchObject] = field(default_factory=dict)
    storing: list[ObjectId] = field(default_factory=list)
    unpacking: list[m.UnpackObject] = field(default_factory=list)
    assigned: dict[object, m.Assignment] = field(default_factory=dict)
    running: dict[object, m.Assignment | None] = field(default_factory=dict)
    ended: bool = False
    received: list[m.Message] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.worker_id}>"  # Hypothesis prints it at each event of a failing run.

    def take(self, message: m.Message) -> None:
        self.received.append(message)
        match message:
            case m.RunAttempts():
                self.assigned.update({a.attempt: a for a in message.assignments})
            case m.CancelAttempts():
                for attempt in message.attempts:
                    if self.assigned.pop(attempt, None) or attempt in self.running:
                        self.running[attempt] = None  # to be reported as cancelled
            case m.StoreObjects():
                self.storing += [o.object_id for o in message.objects]
            case m.FetchObject():
                self.fetching[message.transfer_id] = message
            case m.AbandonFetch():
                self.fetching.pop(message.transfer_id, None)
            case m.UnpackObject():
                self.unpacking.append(message)
            case m.RateObjects():
                here = self.holds & set(message.object_ids)
                self.spare = self.spare | here if message.spare else self.spare - here
                self.forever = self.forever | here if message.cache is m.CacheLevel.FOREVER else self.forever - here
            case m.DropObjects():
                self.holds -= set(message.object_ids)
                self.unpacking = [u for u in self.unpacking if u.object_id not in message.object_ids]
                self.storing = [o for o in self.storing if o not in message.object_ids]
            case m.EndWorker():
                self.ended = True

    def made(self, object_id: ObjectId) -> None:
        self.holds.add(object_id)
        self.spare.discard(object_id)

    def came(self, object_id: ObjectId, level: m.CacheLevel) -> None:
        self.holds.add(object_id)
        self.spare.add(object_id)
        self.forever |= {object_id} if level is m.CacheLevel.FOREVER else set()

    def may_go(self) -> list[ObjectId]:
        """What the worker's own rules let it give up for room."""
        attempts = [a for a in (*self.assigned.values(), *self.running.values()) if a is not None]
        needed = {need for attempt in attempts for need in self.needs(attempt)}
        needed |= {order.archive for order in self.unpacking}
        return sorted(self.holds & self.spare - needed)

    def has_inputs(self, assignment: m.Assignment) -> bool:
        return self.needs(assignment) <= self.holds

    @staticmethod
    def needs(assignment: m.Assignment) -> set[ObjectId]:
        needs = {assignment.function, assignment.payload_object, assignment.environment}
        needs |= {mount.object_id for mount in assignment.inputs}
        needs |= {value.object_id for value in assignment.values}
        return {need for need in needs if need is not None}


class World:
    """Drives the scheduler; `check` runs after every step."""

    def __init__(self, workers: int = 0, cores: float = 1, spread: Spread = Spread.FOREST) -> None:
        self.settings = Settings(
            run_id=RunId("r"), epoch=1, run_dir="/run", staging_dir="/run/staging", host_id="here",
            run_secret=b"s" * 32, requests_endpoint="tcp://127.0.0.1:1", chunks_endpoint="tcp://127.0.0.1:2",
            spread=spread,
        )  # fmt: skip
        self.core = Scheduler(self.settings)
        self.now = 0.0
        self.workers: dict[WorkerId, FakeWorker] = {}
        self.client = PeerKey("client")
        self.inbox: list[m.Message] = []
        self.results: dict[TaskId, m.TaskResult] = {}
        self.local: dict[object, actions.Fetch] = {}
        self.served: set[ObjectId] = set()
        self.done: list[actions.Action] = []
        self.outcome: Callable[[m.Assignment], m.Outcome] = lambda assignment: m.Outcome.SUCCESS
        self.value: Callable[[m.Assignment], bytes] = lambda assignment: b"v"
        self.large_values = False
        self.runs: dict[TaskId, int] = {}
        self._numbers = 0
        self._versions = 0
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
                            worker.take(message)
                case actions.Fetch(order):
                    self.local[order.transfer_id] = action
                case actions.AbandonLocal(transfer_id):
                    self.local.pop(transfer_id, None)
                case actions.Serve(served):
                    self.served.add(served)
                case actions.StopServing(served):
                    self.served.discard(served)
                case _:
                    pass
        check(self.core.state)
        self.check_copies()

    def check_copies(self) -> None:
        """Of what workers alone have, one does not think that it may give it up."""
        for known in self.core.state.files.objects.values():
            holders = [self.workers[holder] for holder in known.holders if holder in self.workers]
            if holders and known.data is None and known.archive is None and "manager" not in known.holders:
                kept = [holder for holder in holders if known.object_id not in holder.spare]
                assert kept, f"all may give up {known.object_id}"

    def say(self, message: m.Message, peer: PeerKey | None = None) -> None:
        self.step(self.core.handle(peer or self.client, message, self.now))

    def pass_time(self, seconds: float) -> None:
        """Time passes; everybody who is there is heard meanwhile."""
        self.now += seconds
        for peer in (self.client, *(w.peer for w in self.workers.values())):
            self.core.heard(peer, self.now)
        self.step(self.core.tick(self.now))

    # --- workers ---------------------------------------------------------------------------------

    def join(
        self, name: str | None = None, cores: float = 1, memory_mb: float = 1000, found: tuple[ObjectId, ...] = ()
    ) -> FakeWorker:
        """A worker comes; `found` is what it has kept for ever."""
        number = self._number()
        worker_id = WorkerId(name or f"w{number}")
        worker = FakeWorker(worker_id, PeerKey(f"peer-{number}"), cores)
        self.workers[worker_id] = worker
        hello = m.WorkerHello(
            worker_id, HostId(f"host-{worker_id}"), "host", 1, m.Resources(cores, memory_mb, 1000, 0), (), "3.11",
            f"tcp://127.0.0.1:{10000 + number}", f"tcp://127.0.0.1:{20000 + number}",
        )  # fmt: skip
        worker.holds.update(found)
        worker.forever.update(found)
        self.say(hello, worker.peer)
        if found:
            self.say(m.ObjectsHeld(found, found), worker.peer)
        return worker

    def evict(self, worker: FakeWorker, *object_ids: ObjectId) -> None:
        """The worker gives up what it may, for room."""
        assert set(object_ids) <= set(worker.may_go())
        worker.holds.difference_update(object_ids)
        worker.spare.difference_update(object_ids)
        self.say(m.ObjectsEvicted(object_ids), worker.peer)

    def lose(self, worker_id: str) -> None:
        worker = self.workers.pop(WorkerId(worker_id))
        self.step(self.core.peer_lost(worker.peer, "killed", self.now))

    def possible_events(self) -> list[tuple[str, FakeWorker | None, object]]:
        """Everything that could happen next on the workers and on the manager's node."""
        events: list[tuple[str, FakeWorker | None, object]] = []
        for worker in self.workers.values():
            events += [("stored", worker, o) for o in worker.storing[:1]]
            events += [("fetched", worker, t) for t, f in worker.fetching.items() if self._source_has(f)]
            events += [("unpacked", worker, u) for u in worker.unpacking if u.archive in worker.holds]
            events += [("start", worker, a) for a, s in worker.assigned.items() if worker.has_inputs(s)]
            events += [("end", worker, a) for a in worker.running]
        events += [("brought", None, t) for t, f in self.local.items() if self._source_has(f.order)]
        return events

    def _source_has(self, order: m.FetchObject) -> bool:
        return all(self._can_give(order, stripe, set()) for stripe in range(len(order.sources)))

    def _can_give(self, order: m.FetchObject, stripe: int, asked: set[WorkerId]) -> bool:
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
        if worker is None:
            order = self.local.pop(what).order
            self.step(self.core.local(LocalFetched(order.transfer_id, order.object_id, 1, 0.1), self.now))
            return
        if kind == "stored":
            worker.storing.remove(what)  # type: ignore[arg-type]
            worker.came(what, m.CacheLevel.WORKFLOW)  # type: ignore[arg-type]
            self.say(m.ObjectsHeld((what,)), worker.peer)  # type: ignore[arg-type]
        elif kind == "fetched":
            self.fetch_ends(worker, what, m.FetchFault.NONE)
        elif kind == "unpacked":
            assert isinstance(what, m.UnpackObject)
            worker.unpacking.remove(what)
            worker.came(what.object_id, what.cache)
            self.say(m.ObjectsHeld((what.object_id,)), worker.peer)
        elif kind == "start":
            worker.running[what] = worker.assigned.pop(what)
            self.say(m.TasksStarted((what,)), worker.peer)  # type: ignore[arg-type]
        elif kind == "end":
            self._end(worker, what)

    def fetch_ends(
        self, worker: FakeWorker, transfer: object, fault: m.FetchFault, blamed: WorkerId | None = None
    ) -> None:
        order = worker.fetching.pop(transfer)
        if fault is m.FetchFault.NONE:
            worker.came(order.object_id, order.cache)
        chunks = chunk_count(order.manifest) if fault is m.FetchFault.NONE else 0
        sources = [edge.source for edge in order.sources]
        from_manager = CHUNK * sum(sources[index % len(sources)] == MANAGER for index in range(chunks))
        size = CHUNK * chunks
        ended = m.FetchEnded(
            order.transfer_id, order.object_id, fault, size, 0.1, fault.value, blamed or sources[0], from_manager
        )
        self.say(ended, worker.peer)

    def local_fetch_fails(self, transfer: object, fault: m.FetchFault) -> None:
        order = self.local.pop(transfer).order
        event = LocalFetchFailed(order.transfer_id, order.object_id, fault, fault.value, 0, 0.1)
        self.step(self.core.local(event, self.now))

    def _end(self, worker: FakeWorker, attempt: object) -> None:
        assignment = worker.running.pop(attempt)
        if assignment is None:
            self.say(m.AttemptsEnded((m.AttemptResult(attempt, m.Outcome.CANCELLED),)), worker.peer)  # type: ignore[arg-type]
            return
        self.runs[assignment.task_id] = self.runs.get(assignment.task_id, 0) + 1
        outcome = self.outcome(assignment)
        outputs = []
        value: dict[str, object] = {}
        if outcome is m.Outcome.SUCCESS:
            for mount in assignment.outputs:
                self._versions += 1
                made = manifest(f"output {mount.file_id} version {self._versions}", 4)
                outputs.append(m.MadeOutput(mount.file_id, object_id(made), made))
                worker.made(object_id(made))
            if self.large_values:
                made = manifest(f"value {assignment.task_id}", 4)
                worker.made(object_id(made))
                value = {"value_object": object_id(made), "value_manifest": made}
            elif assignment.kind is m.TaskKind.CALL:
                value = {"value": self.value(assignment)}
        result = m.AttemptResult(
            assignment.attempt,
            outcome,
            outputs=tuple(outputs),
            times=m.Times(run_s=1.0),
            **value,  # type: ignore[arg-type]
        )
        self.say(m.AttemptsEnded((result,)), worker.peer)

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

    def declare(self, kind: m.FileKind, **fields: object) -> FileId:
        file_id = FileId(numbered(0, self._number()))
        options: dict[str, object] = {"cache": m.CacheLevel.WORKFLOW, "label": f"{kind.value} {file_id}", **fields}
        self.say(m.DeclareFiles((m.FileSpec(file_id, kind, **options),)))  # type: ignore[arg-type]
        return file_id

    def buffer(self, data: bytes = b"data", **fields: object) -> FileId:
        return self.declare(m.FileKind.BUFFER, data=data, **fields)

    def local_file(self, name: str = "big", chunks: int = 8, bind: bool = True, **fields: object) -> FileId:
        file_id = self.declare(m.FileKind.LOCAL, path=f"/data/{name}", **fields)
        if bind:
            self.bind(file_id, name, chunks)
        return file_id

    def bind(self, file_id: FileId, name: str = "big", chunks: int = 8) -> ObjectId:
        content = manifest(name, chunks)
        signature = m.Signature(content.size, 1, 1)
        path = self.core.state.files.by_id[file_id].spec.path
        assert path is not None
        self.say(m.FileBound(file_id, object_id(content), content, path, signature))
        return object_id(content)

    def temp(self, **fields: object) -> FileId:
        return self.declare(m.FileKind.TEMP, **fields)

    def untar(self, archive: FileId, **fields: object) -> FileId:
        return self.declare(m.FileKind.UNTAR, source=archive, **fields)

    def submit(
        self,
        inputs: tuple[FileId, ...] = (),
        outputs: tuple[FileId, ...] = (),
        depends: tuple[TaskId, ...] = (),
        kind: m.TaskKind = m.TaskKind.CALL,
        **fields: object,
    ) -> TaskId:
        task_id = TaskId(numbered(0, self._number()))
        options: dict[str, object] = {"request": m.Request(cores=1), **fields}
        spec = m.TaskSpec(
            task_id,
            kind,
            inputs=tuple(m.Mount(file_id, f"in{i}") for i, file_id in enumerate(inputs)),
            outputs=tuple(m.Mount(file_id, f"out{i}") for i, file_id in enumerate(outputs)),
            depends=depends,
            **options,  # type: ignore[arg-type]
        )
        self.say(m.SubmitTasks((spec,)))
        return task_id

    def state_of(self, task_id: TaskId) -> str:
        return self.core.state.tasks.by_id[task_id].state.value

    def worker_of(self, task_id: TaskId) -> WorkerId | None:
        attempt = self.core.state.tasks.by_id[task_id].attempt
        return None if attempt is None else attempt.worker

    def sent(self, kind: type) -> list[actions.Action]:
        return [a for a in self.done if isinstance(a, actions.Send) and isinstance(a.message, kind)]
