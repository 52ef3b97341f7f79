"""What does the scheduler know: the tables that its rooms share, and the actions of one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from vine import config
from vine.names import AttemptId, FileId, HostId, ObjectId, TaskId, TransferId, WorkerId
from vine.scheduler import actions
from vine.scheduler.actions import Action, PeerKey
from vine.scheduler.categories import Category, CategoryKey
from vine.scheduler.copies import Copies
from vine.scheduler.downloads import Downloads
from vine.scheduler.feeding import Feeding
from vine.scheduler.files import FileTable
from vine.scheduler.flows import Transfers
from vine.scheduler.libraries import LibraryRecord
from vine.scheduler.minitasks import Minitasks
from vine.scheduler.numbers import Numbers
from vine.scheduler.peers import AwaitedWorker, ClientRecord, FactoryRecord, Failure
from vine.scheduler.placement import Placement
from vine.scheduler.prefetches import Prefetches
from vine.scheduler.records import Record
from vine.scheduler.settings import Settings
from vine.scheduler.suspicion import Hearing
from vine.scheduler.tasks import Attempt, TaskRecord, TaskState, TaskTable
from vine.scheduler.workers import WorkerRecord
from vine.transfer.ranks import Ranks
from vine.wire.messages import Message, TasksEnded
from vine.wire.parts import Assignment, HostStanding, Outcome, TaskResult
from vine.wire.worker_messages import CancelAttempts, RunAttempts

_FAILURES_KEPT = 10


Item = TypeVar("Item")


class State:
    """The tables, and the outbox of the step that is being taken."""

    # Named, because they are asked for a hundred times a task, and an object of more than 30 attributes finds them
    # a good deal more slowly where they are not.
    __slots__ = (
        "_assignments", "_cancelled", "_counter", "_out", "_records", "_results", "appointments", "asked_journal",
        "attempts_written", "awaited", "brought_paths", "categories", "clients", "clients_left", "clients_seen",
        "closed_hosts", "collecting", "copies", "dispatches_from", "doomed", "downloads", "draining", "drains_at",
        "factories", "failures", "feeding", "files", "forgotten_tasks", "hearing", "held_back", "hosts", "libraries",
        "minitasks", "news_at", "now", "placement", "prefetches", "ranks", "record", "remaking", "settings", "stopping",
        "strange", "tasks", "transfers", "unrated", "worker_of", "workers",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = 0.0
        self.clients: dict[PeerKey, ClientRecord] = {}
        self.workers: dict[WorkerId, WorkerRecord] = {}
        self.worker_of: dict[PeerKey, WorkerRecord] = {}
        self.hosts: dict[HostId, dict[WorkerId, None]] = {}  # the workers of each
        self.factories: dict[PeerKey, FactoryRecord] = {}
        self.awaited: dict[WorkerId, AwaitedWorker] = {}  # since the manager was restarted
        self.held_back: dict[TaskId, WorkerId] = {}  # tasks, and which of these may be running them
        self.attempts_written: Mapping[int, int] = {}  # the highest counter of each epoch before this one
        self.dispatches_from = 0.0  # Until then, after a restart, those who may run something already come back.
        self.asked_journal: dict[PeerKey, int] | None = None  # what had been said when it was asked what is written
        self.forgotten_tasks: Numbers | None = None  # before that, so that none is taken in again
        self.tasks = TaskTable()
        self.files = FileTable()
        self.libraries: dict[FileId, LibraryRecord] = {}  # those removed, too, while their client is there
        self.placement = Placement(self.libraries)
        self.transfers = Transfers(settings.transfers_max)
        self.ranks = Ranks()
        self.downloads = Downloads()
        self.minitasks = Minitasks()
        self.copies = Copies()
        self.prefetches = Prefetches()
        self.closed_hosts: dict[str, tuple[HostStanding, float | None]] = {}  # by hostname; and until when
        self.draining: dict[WorkerId, None] = {}  # workers that are to end when they have nothing left to do
        self.drains_at: list[tuple[float, WorkerId]] = []  # heap of when workers get their last task
        self.categories: dict[CategoryKey, Category] = {}
        self.collecting: dict[ObjectId, dict[TaskId, list[str]]] = {}  # tasks that left it, and where it comes to
        self.brought_paths: dict[ObjectId, str] = {}  # in the staging folder, for clients that asked
        self.unrated: dict[tuple[WorkerId, ObjectId], None] = {}  # copies whose worth has changed in this step
        self.doomed: dict[TaskId, tuple[Outcome, str]] = {}  # tasks to be ended in this step
        self.failures: deque[Failure] = deque(maxlen=_FAILURES_KEPT)
        self.appointments: list[tuple[float, TaskId]] = []  # heap of when tasks may start, or must have ended
        self.feeding = Feeding()
        self.hearing = Hearing()
        self.news_at = 0.0  # when clients and factories hear next how the run stands
        self.stopping = False
        self.clients_seen = 0
        self.clients_left: set[int] = set()  # indexes of those
        self.remaking = 0  # depth of the chain of producers that is being started again
        self.strange = 0  # messages that were well formed and made no sense from that peer
        self._counter = 0
        self._out: list[Action] = []
        self._records: list[Record] = []
        # Batched with the step's other records, before everything else. No method: several are written a task.
        self.record: Callable[[Record], None] = self._records.append
        self._results: dict[PeerKey, list[TaskResult]] = {}
        self._assignments: dict[WorkerId, list[Assignment]] = {}
        self._cancelled: dict[WorkerId, list[AttemptId]] = {}

    def load_changed(self, worker: WorkerRecord) -> None:
        """The worker has been given an attempt, or has one less."""
        self.placement.load_changed(worker)
        self.prefetches.close(worker.worker_id)  # It is asked again when what it was given has started.
        while worker.libraries_left:  # Whoever has loaded it for nobody will say so.
            library = self.libraries.get(worker.libraries_left.pop())
            if library is not None and worker.worker_id not in library.loaded:
                library.loading.pop(worker.worker_id, None)

    def drop_attempt(self, record: TaskRecord) -> Attempt:
        """The task has no attempt any more; another of its category may take the place."""
        if record.category is not None and record.category.full:
            self.placement.due = True
        return self.tasks.drop_attempt(record)

    def staged(self) -> list[TaskRecord]:
        """The tasks that were assigned and have not started, in the order in which they were assigned."""
        if not self.tasks.counts[TaskState.STAGED]:
            return []
        given = chain.from_iterable(worker.attempts.items() for worker in self.workers.values())
        return [record for _, record in sorted(each for each in given if each[1].state is TaskState.STAGED)]

    def is_settled(self) -> bool:
        """Whether the step has left nothing to be seen to: none of the rooms that end it would do anything."""
        transfers = self.transfers
        return not (
            self.placement.due
            or self.doomed
            or self.unrated
            or transfers.dirty
            or transfers.retrying
            or (self.prefetches.coming if transfers.wanting else self.prefetches.due)
            or self.downloads.looking
            or any(self.copies.news)
        )

    # --- the step's outbox ---------------------------------------------------------------------

    def do(self, action: Action) -> None:
        self._out.append(action)

    def send(self, peer: PeerKey, message: Message) -> None:
        self._out.append(actions.Send(peer, message))

    def tell_worker(self, worker_id: WorkerId, message: Message) -> None:
        """Send to a worker, if it is still there."""
        worker = self.workers.get(worker_id)
        if worker is not None:
            self._out.append(actions.Send(worker.peer, message))

    def give(self, worker_id: WorkerId, assignment: Assignment) -> None:
        """Batched with the step's other assignments to that worker, after everything else."""
        self._assignments.setdefault(worker_id, []).append(assignment)

    def cancel(self, worker_id: WorkerId, attempt: AttemptId) -> None:
        """Batched behind the step's assignments: one may have been given, and be wanted no more, in the same step."""
        self._cancelled.setdefault(worker_id, []).append(attempt)

    def result(self, record: TaskRecord, result: TaskResult) -> None:
        """Batched with the step's other results for that client."""
        if record.client in self.clients:
            self._results.setdefault(record.client, []).append(result)

    def tell_again(self, client: PeerKey, result: TaskResult) -> None:
        """As `result`, of a task that may have been forgotten since."""
        self._results.setdefault(client, []).append(result)

    def take_actions(self) -> list[Action]:
        """End the step."""
        out: list[Action] = []
        if self._records:
            out.append(actions.Journal(tuple(self._records)))
            self._records.clear()
        if self._out:
            out += self._out
            self._out = []
        if self._assignments:
            for worker_id, assignments in self._assignments.items():
                worker = self.workers.get(worker_id)
                if worker is not None and len(assignments) == 1:
                    out.append(actions.Send(worker.peer, RunAttempts((assignments[0],))))
                elif worker is not None:
                    parts = _parted(assignments, _assignment_bytes)
                    out += [actions.Send(worker.peer, RunAttempts(some)) for some in parts]
            self._assignments = {}
        if self._cancelled:
            for worker_id, attempts in self._cancelled.items():
                worker = self.workers.get(worker_id)
                if worker is not None:
                    out.append(actions.Send(worker.peer, CancelAttempts(tuple(attempts))))
            self._cancelled = {}
        if self._results:
            for client, results in self._results.items():
                record = self.clients.get(client)
                if record is not None and record.owed is not None:
                    record.owed.update((result.task_id, result) for result in results)
                elif len(results) == 1:
                    out.append(actions.Send(client, TasksEnded((results[0],))))
                else:
                    out += [actions.Send(client, TasksEnded(some)) for some in _parted(results, _result_bytes)]
            self._results = {}
        return out

    def doom(self, task_id: TaskId, outcome: Outcome, message: str) -> None:
        """End the task later in this step: failures spread along long chains, and must not recurse."""
        self.doomed.setdefault(task_id, (outcome, message))

    # --- identities ------------------------------------------------------------------------------

    def next_attempt(self) -> AttemptId:
        self._counter += 1
        return AttemptId(self.settings.epoch, self._counter)

    def next_transfer(self) -> TransferId:
        self._counter += 1
        return TransferId(self.settings.epoch, self._counter)


def _parted(items: Sequence[Item], bytes_of: Callable[[Item], int]) -> list[tuple[Item, ...]]:
    """In order, in portions that a message can hold."""
    portions: list[tuple[Item, ...]] = []
    portion: list[Item] = []
    portion_bytes = 0
    for item in items:
        size = bytes_of(item)
        if portion and (portion_bytes + size > config.portion_bytes_max or len(portion) >= config.message_items_max):
            portions.append(tuple(portion))
            portion, portion_bytes = [], 0
        portion.append(item)
        portion_bytes += size
    portions.append(tuple(portion))
    return portions


def _assignment_bytes(assignment: Assignment) -> int:
    return (
        len(assignment.command) + len(assignment.payload) + sum(len(value.value or b"") for value in assignment.values)
    )


def _result_bytes(result: TaskResult) -> int:
    return len(result.value or b"") + len(result.stdout) + len(result.stderr)
