"""How does a run go: a client that submits, a fleet that works, and between them the scheduler that is measured."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.scale.fleet import Fleet
from benchmarks.scale.measured import MeasuredScheduler, reading_s
from benchmarks.scale.workloads import VALUE, Batch, Workload
from benchmarks.simulator.clock import Clock
from vine import config
from vine.names import ClientId, FileId, HostId, PeerKey, TaskId
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.codec import Decoder, encode_one
from vine.wire.parts import Assignment, Outcome, Resources
from vine.wire.worker_messages import FromWorker

CLIENT, FACTORY = PeerKey("client"), PeerKey("factory")
_CLIENT_TURN_S = 0.01  # A client submits a batch at each, and forgets what has ended.
_LINE_INTERVAL_S = 5.0

_said: Decoder[m.Message] = Decoder(m.FromClient | FromWorker | m.FromFactory)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run is like; equal ones go alike."""

    workers: int
    cores: int = 4  # of each worker
    joining_s: float = 60.0  # over which the workers come
    left: float = 0.01  # the share of workers that the batch system takes away, each replaced by another
    join_first: bool = True  # or when all has been submitted
    seed: int = 0


class Run:
    """One run. The manager's driver, reduced to what the scheduler sees of it: each message is a step."""

    def __init__(self, setup: Setup, means_s: dict[str, float], name: str = "") -> None:
        self._setup, self._means_s, self._name = setup, means_s, name
        self.clock = Clock()
        self.scheduler = MeasuredScheduler(reading_s=reading_s())
        self._dice = random.Random(setup.seed)
        self.fleet = Fleet(self.clock, self._dice, self._hear, self._seconds_of, VALUE, setup.cores)
        self.workload = Workload(setup.seed)
        self.submitted = 0
        self.ended = 0
        self.failed = 0
        self._total = 0
        self._batches: Iterator[Batch] = iter(())
        self._all_submitted: Callable[[], None] = lambda: None
        self._kept: set[TaskId] = set()
        self._to_forget: list[TaskId] = []
        self._files_to_forget: list[FileId] = []
        self._client_wakes = False
        self._submitting = False
        self._said_s = time.monotonic()

    def go(self, batches: Callable[[Workload], Iterator[Batch]], total: int, all_submitted: Callable[[], None]) -> None:
        """Let it run until every task has ended; `all_submitted` is called when the client has said all."""
        self._total, self._all_submitted = total, all_submitted
        self._hear(CLIENT, m.ClientHello(ClientId("c"), HostId("here"), "3.11"))
        capacity = Resources(self._setup.cores, 4000.0 * self._setup.cores, 50_000.0, 0.0)
        self._hear(FACTORY, m.FactoryHello("f", "slurm", 0, self._setup.workers, capacity))
        for message in self.workload.setup():
            self._hear(CLIENT, message)
        self._batches, self._submitting = batches(self.workload), True
        if self._setup.join_first:
            self._let_workers_join()
        self.clock.after(0.0, self._client_turn)
        self.clock.after(config.statistics_interval_s, self._time_passes)
        everything = self.clock.run(lambda: self.ended == total)
        assert everything, f"{self.ended} of {total} tasks have ended, and nothing more happens"

    # --- time ---

    def _let_workers_join(self) -> None:
        setup = self._setup
        for _ in range(setup.workers):
            self.clock.after(self._dice.random() * setup.joining_s, self.fleet.join)
        for _ in range(int(setup.workers * setup.left)):
            self.clock.after(setup.joining_s * (1 + self._dice.random()), self._replace_one)

    def _replace_one(self) -> None:
        self.fleet.leave(self._dice.choice(list(self.fleet.workers.values())))
        self.clock.after(self._dice.random() * self._setup.joining_s, self.fleet.join)

    def _time_passes(self) -> None:
        now = self.clock.now()
        self.scheduler.core.heard(CLIENT, now)
        self._hear(FACTORY, m.FactoryStatus(0, len(self.fleet.workers)))
        self._act(self.scheduler.tick(now))
        self.scheduler.snapshot(now)
        self.clock.after(config.statistics_interval_s, self._time_passes)
        self._say_how_it_stands()

    def _seconds_of(self, assignment: Assignment) -> float:
        """Spread as users' tasks are: most are below the mean, a few take several times as long."""
        return self._means_s[assignment.label] * min(10.0, self._dice.lognormvariate(-0.32, 0.8))

    # --- the client ---

    def _client_turn(self) -> None:
        self._client_wakes = False
        batch = next(self._batches, None) if self._submitting else None
        if batch is not None:
            self._submit(batch)
        elif self._submitting:
            self._submitting = False
            self._all_submitted()
            if not self._setup.join_first:
                self._let_workers_join()
        if self._files_to_forget:
            files, self._files_to_forget = self._files_to_forget, []
            self._hear(CLIENT, m.ForgetFiles(tuple(files)))
        if self._to_forget:
            tasks, self._to_forget = self._to_forget, []
            self._hear(CLIENT, m.ForgetResults(tuple(tasks)))
        if self._submitting:
            self._wake_client()

    def _submit(self, batch: Batch) -> None:
        if batch.files:
            self._hear(CLIENT, m.DeclareFiles(batch.files))
        if batch.tasks:
            self._hear(CLIENT, m.SubmitTasks(batch.tasks))
            self.submitted += len(batch.tasks)
        self._kept |= batch.kept
        self._kept.difference_update(batch.dropped)
        self._to_forget += batch.dropped

    def _wake_client(self) -> None:
        if not self._client_wakes:
            self._client_wakes = True
            self.clock.after(_CLIENT_TURN_S, self._client_turn)

    def _take_results(self, message: m.TasksEnded) -> None:
        for result in message.results:
            self.ended += 1
            self.failed += result.outcome is not Outcome.SUCCESS
            task_id = result.task_id
            if task_id not in self._kept:
                self._to_forget.append(task_id)
            own = self.workload.inputs.pop(task_id, None)
            if own is not None:
                self._files_to_forget.append(own)
        self._wake_client()

    # --- the manager ---

    def _hear(self, peer: PeerKey, message: m.Message) -> None:
        self._act(self.scheduler.handle(peer, as_it_comes(message), self.clock.now()))

    def _act(self, todo: list[actions.Action]) -> None:
        """Messages arrive; what else the scheduler wants is another room's, and costs it nothing."""
        for action in todo:
            if isinstance(action, actions.Send):
                if action.peer == CLIENT:
                    if isinstance(action.message, m.TasksEnded):
                        self._take_results(action.message)
                elif action.peer != FACTORY:
                    self.fleet.take(action.peer, action.message)

    def _say_how_it_stands(self) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= _LINE_INTERVAL_S:
            self._said_s = now_s
            per_task = self.scheduler.task_s / max(1, self.ended) * 1e6
            text = f"{self.submitted:,} of {self._total:,} tasks submitted, {self.ended:,} ended"
            text = f"{text}, {per_task:.1f} us of the core for each that has"
            print(f"scale: {self._name}: {text}", file=sys.stderr, flush=True)


def as_it_comes(message: m.Message) -> m.Message:
    """The message as the wire brings it: what the scheduler keeps of it, it shares with nobody."""
    return _said.decode_one(encode_one(message))
