"""What do the simulated workers do: they join, get their inputs, run what they are given, and some leave.

Far less than the simulator's workers, which run the worker's own core over a network: ten thousand of them must cost
no more than the scheduler that is measured. Every end and every start is a message of its own, which real workers
send in batches when they are that busy.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.simulator.clock import Clock
from vine import config
from vine.names import AttemptId, HostId, ObjectId, PeerKey, TransferId, WorkerId
from vine.wire import messages as m
from vine.wire.parts import Assignment, AttemptResult, FetchFault, Outcome, Resources, Times
from vine.wire.worker_messages import (
    AbandonFetch,
    AttemptsEnded,
    DropObjects,
    FetchEnded,
    FetchObject,
    ObjectsHeld,
    RunAttempts,
    StoreObjects,
    TasksStarted,
    UnpackObject,
    WorkerBye,
    WorkerHello,
    WorkerStatus,
)

_STORE_S = 0.005  # Until a worker has written what came inline, and says so.
_RATE_BYTES_PER_S = 100e6  # At which a file comes; how it does is the simulator's question.
_UNPACK_S = 20.0


@dataclass(slots=True)
class LightWorker:
    """What a worker has, and what it has to do."""

    worker_id: WorkerId
    peer: PeerKey
    free_cores: float
    holds: set[ObjectId] = field(default_factory=set)
    fetching: dict[TransferId, FetchObject] = field(default_factory=dict)
    unpacking: dict[ObjectId, UnpackObject] = field(default_factory=dict)
    queue: deque[Assignment] = field(default_factory=deque)  # in the order in which they came
    running: dict[AttemptId, Assignment] = field(default_factory=dict)
    gone: bool = False


class Fleet:
    """All workers of a run in virtual time; `say` brings a message of one to the manager."""

    def __init__(
        self,
        clock: Clock,
        dice: random.Random,
        say: Callable[[PeerKey, m.Message], None],
        seconds_of: Callable[[Assignment], float],
        value: bytes,
        cores: int,
    ) -> None:
        self._clock, self._dice, self._say, self._seconds_of = clock, dice, say, seconds_of
        self._value, self._cores = value, cores
        self.workers: dict[PeerKey, LightWorker] = {}
        self.joined = 0
        self.busy_core_s = 0.0
        self._on: dict[type[m.Message], Callable[[LightWorker, m.Message], None]] = {
            RunAttempts: self._run,
            StoreObjects: self._store,
            FetchObject: self._fetch,
            AbandonFetch: self._abandon,
            UnpackObject: self._unpack,
            DropObjects: self._drop,
        }

    def join(self) -> None:
        """One more comes, with a host of its own."""
        self.joined += 1
        number = self.joined
        worker = LightWorker(WorkerId(f"worker-{number:05}"), PeerKey(f"peer-{number}"), self._cores)
        self.workers[worker.peer] = worker
        capacity = Resources(self._cores, 4000.0 * self._cores, 50_000.0, 0.0)
        port = 10_000 + number % 50_000
        hello = WorkerHello(
            worker.worker_id, HostId(f"host-{number:05}"), f"node{number:05}.cluster", number, capacity, (), "3.11",
            f"tcp://10.0.0.1:{port}", f"tcp://10.0.0.2:{port}",
        )  # fmt: skip
        self._say(worker.peer, hello)
        self._clock.after(self._dice.random() * config.heartbeat_interval_s, partial(self._report, worker))

    def leave(self, worker: LightWorker) -> None:
        """The batch system takes it away, with what it runs."""
        if not worker.gone:
            worker.gone = True
            del self.workers[worker.peer]
            self._say(worker.peer, WorkerBye("evicted"))

    def take(self, peer: PeerKey, message: m.Message) -> None:
        """The manager says this to a worker; what its answer does not depend on is not heard."""
        worker, heard = self.workers.get(peer), self._on.get(type(message))
        if worker is not None and heard is not None:
            heard(worker, message)

    # --- what it is told ---

    def _run(self, worker: LightWorker, message: m.Message) -> None:
        assert isinstance(message, RunAttempts)
        worker.queue.extend(message.assignments)
        self._after(worker, 0.0, self._start, ())

    def _store(self, worker: LightWorker, message: m.Message) -> None:
        assert isinstance(message, StoreObjects)
        self._after(worker, _STORE_S, self._held, tuple(each.object_id for each in message.objects))

    def _fetch(self, worker: LightWorker, message: m.Message) -> None:
        assert isinstance(message, FetchObject)
        worker.fetching[message.transfer_id] = message
        seconds = message.manifest.size / _RATE_BYTES_PER_S * (0.5 + self._dice.random())
        self._after(worker, seconds, self._fetched, message.transfer_id, seconds)

    def _abandon(self, worker: LightWorker, message: m.Message) -> None:
        assert isinstance(message, AbandonFetch)
        worker.fetching.pop(message.transfer_id, None)

    def _unpack(self, worker: LightWorker, message: m.Message) -> None:
        assert isinstance(message, UnpackObject)
        worker.unpacking[message.object_id] = message
        if message.archive in worker.holds:
            self._after(worker, _UNPACK_S, self._held, (message.object_id,))

    def _drop(self, worker: LightWorker, message: m.Message) -> None:
        assert isinstance(message, DropObjects)
        worker.holds.difference_update(message.object_ids)

    # --- what happens there ---

    def _after(self, worker: LightWorker, seconds: float, then: Callable[..., None], *arguments: object) -> None:
        def happen() -> None:
            if not worker.gone:
                then(worker, *arguments)

        self._clock.after(seconds, happen)

    def _held(self, worker: LightWorker, object_ids: tuple[ObjectId, ...]) -> None:
        worker.holds.update(object_ids)
        for object_id in object_ids:
            worker.unpacking.pop(object_id, None)
        self._say(worker.peer, ObjectsHeld(object_ids))
        self._start(worker, ())

    def _fetched(self, worker: LightWorker, transfer_id: TransferId, seconds: float) -> None:
        order = worker.fetching.pop(transfer_id, None)
        if order is None:
            return
        worker.holds.add(order.object_id)
        ended = FetchEnded(transfer_id, order.object_id, FetchFault.NONE, order.manifest.size, seconds)
        self._say(worker.peer, ended)
        for unpack in list(worker.unpacking.values()):
            if unpack.archive == order.object_id:
                self._after(worker, _UNPACK_S, self._held, (unpack.object_id,))
        self._start(worker, ())

    def _start(self, worker: LightWorker, ended: tuple[AttemptResult, ...]) -> None:
        """What has its inputs and cores starts; the manager hears of that, then of the end that made room."""
        started = []
        for _ in range(len(worker.queue)):
            assignment = worker.queue.popleft()
            if assignment.allotment.cores <= worker.free_cores and self._needs(assignment) <= worker.holds:
                worker.free_cores -= assignment.allotment.cores
                worker.running[assignment.attempt] = assignment
                seconds = self._seconds_of(assignment)
                self._after(worker, seconds, self._end, assignment.attempt, seconds)
                started.append(assignment.attempt)
            else:
                worker.queue.append(assignment)
        if started:
            self._say(worker.peer, TasksStarted(tuple(started)))
        if ended:
            self._say(worker.peer, AttemptsEnded(ended))

    def _end(self, worker: LightWorker, attempt: AttemptId, seconds: float) -> None:
        assignment = worker.running.pop(attempt)
        worker.free_cores += assignment.allotment.cores
        self.busy_core_s += seconds * assignment.allotment.cores
        result = AttemptResult(attempt, Outcome.SUCCESS, value=self._value, times=Times(run_s=seconds))
        self._start(worker, (result,))

    @staticmethod
    def _needs(assignment: Assignment) -> set[ObjectId]:
        named = {assignment.function, assignment.payload_object, assignment.environment}
        named |= {mount.object_id for mount in assignment.inputs}
        named |= {value.object_id for value in assignment.values}
        return {object_id for object_id in named if object_id is not None}

    def _report(self, worker: LightWorker) -> None:
        if not worker.gone:
            self._say(worker.peer, WorkerStatus(1 << 30, 40 << 30, 0, 0, 0, 0, 0))
            self._clock.after(config.heartbeat_interval_s, partial(self._report, worker))
