"""What must hold of a run whatever breaks: looked at after every step of the manager, and in full now and then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sized

from benchmarks.simulator.node import SimulatedNode
from vine import config
from vine.names import AttemptId, TaskId
from vine.scheduler import actions, check
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    Record,
    ResultBound,
    TaskAccepted,
    TaskEnded,
    TaskReady,
    TaskWaits,
)
from vine.scheduler.state import State
from vine.wire.parts import Outcome, TaskResult, TaskSpec

FULL_EVERY = 100
_LOST = (Outcome.WORKER_LOST, Outcome.CANCELLED)  # the latter where the task is suspected of nothing
_ITS_OWN = frozenset({Outcome.EXCEPTION, Outcome.KILLED, Outcome.EXIT_CODE})  # failures that retries are for
_ATTEMPTS_MAX = 60  # Of one task, its runs for what was lost afterwards counted: far above what each limit allows.


class Ledger:
    """The lives of all tasks and attempts of a run, as its managers' records tell them."""

    def __init__(self, epoch: int = 0) -> None:
        self._epoch = epoch
        self._last: dict[TaskId, AttemptId] = {}  # each task's latest attempt
        self._task_of: dict[AttemptId, TaskId] = {}  # attempts that have not ended
        self._started: set[AttemptId] = set()
        self._collected: dict[AttemptId, TaskId] = {}  # attempts that have ended, and whose failures they are
        self._accepted: dict[TaskId, TaskSpec] = {}
        self._remote: set[TaskId] = set()  # that have left a large result on workers
        self._failures: Counter[TaskId] = Counter()
        self.ended: dict[TaskId, Outcome] = {}
        self.attempts: Counter[TaskId] = Counter()
        self._highest = 0
        self._ever: set[AttemptId] = set()

    def begin(self, epoch: int) -> None:
        """Another manager follows: what it has read is what was noted here."""
        self._epoch, self._highest = epoch, 0

    def note(self, record: Record) -> TaskId | None:
        """AssertionError if this cannot follow what was noted before; returns whose life it is."""
        match record:
            case TaskAccepted(spec):
                assert spec.task_id not in self._accepted, f"task {spec.task_id} was accepted twice"
                self._accepted[spec.task_id] = spec
                return spec.task_id
            case TaskReady(task_id) | TaskWaits(task_id):
                assert task_id in self._accepted, f"task {task_id} was never accepted"
                assert self._running(task_id) is None, f"task {task_id} waits, and has an attempt"
                return task_id
            case AttemptAssigned(attempt, task_id):
                self._assigned(attempt, task_id)
                return task_id
            case AttemptStarted(attempt):
                assert attempt in self._task_of and attempt not in self._started, f"{attempt} cannot start"
                self._started.add(attempt)
                return self._task_of[attempt]
            case AttemptEnded(attempt):
                self._started.discard(attempt)
                return self._attempt_ended(record)
            case ResultBound(task_id, _, _, generations):
                self._remote.update((task_id,) if generations else ())
            case TaskEnded(result, _, attempt):
                if attempt is not None:
                    self.note(AttemptEnded(attempt, result.outcome))
                self._task_ended(result)
                return result.task_id
        return None

    def _running(self, task_id: TaskId) -> AttemptId | None:
        last = self._last.get(task_id)
        return last if last in self._task_of else None

    def _assigned(self, attempt: AttemptId, task_id: TaskId) -> None:
        """Or taken over: what an earlier manager had given out, and had not written down."""
        is_new = attempt.epoch == self._epoch and attempt.counter > self._highest
        assert is_new or (attempt.epoch < self._epoch and attempt not in self._ever), f"{attempt} is no new attempt"
        assert self._running(task_id) is None, f"task {task_id} has two attempts"
        last, allowed = self._last.get(task_id), self._accepted[task_id].retries + 1
        if self._failures[task_id] == allowed and last is not None and last.epoch < attempt.epoch:
            self._failures[task_id] -= 1  # It had failed for good, and what it had left was on its way.
        if task_id in self.ended:
            left = self._accepted[task_id].outputs or task_id in self._remote
            assert left, f"task {task_id} has ended, has left nothing that can be lost, and runs again"
        self._ever.add(attempt)
        self._highest = attempt.counter if is_new else self._highest
        self._last[task_id], self._task_of[attempt] = attempt, task_id
        self.attempts[task_id] += 1
        assert self.attempts[task_id] <= _ATTEMPTS_MAX, f"task {task_id} is tried without end"

    def _attempt_ended(self, record: AttemptEnded) -> TaskId | None:
        """Once; and once more if its worker is lost before all that the attempt has left there has come back."""
        task_id = self._task_of.pop(record.attempt, None)
        if task_id is None:
            counted = self._collected.get(record.attempt)
            assert record.outcome in _LOST and counted is not None, f"{record.attempt} ends, and did not run"
            if counted:
                self._failures[counted] -= 1
                self._collected[record.attempt] = TaskId(0)
        else:
            counts = record.outcome in _ITS_OWN and task_id not in self.ended
            self._collected[record.attempt] = task_id if counts else TaskId(0)
            self._failures[task_id] += counts
            allowed = self._accepted[task_id].retries + 1
            assert self._failures[task_id] <= allowed, f"task {task_id} was to fail {allowed} times at most"
        return task_id

    def _task_ended(self, result: TaskResult) -> None:
        task_id = result.task_id
        assert task_id not in self.ended, f"the result of task {task_id} was committed twice"
        assert self._running(task_id) is None, f"task {task_id} has ended, and its attempt has not"
        if result.outcome is Outcome.SUCCESS and result.value is not None:
            told, last = result.value.decode(), f"{task_id} {self._last.get(task_id)}"
            assert told == last, f"the result of '{told}' was committed as that of '{last}'"
        self.ended[task_id] = result.outcome


class Oracle:
    """Looks at one manager after each of its steps."""

    def __init__(self, ledger: Ledger) -> None:
        """`ledger` is what was written before it."""
        self.ledger = ledger
        self.steps = 0

    def look(self, state: State, done: list[actions.Action]) -> None:
        self.steps += 1
        touched: set[TaskId] = set()
        for action in done:
            if isinstance(action, actions.Journal):
                touched.update(task for task in map(self.ledger.note, action.records) if task is not None)
        if self.steps % FULL_EVERY == 0:
            check.check(state)
        else:
            workers = {action.peer for action in done if isinstance(action, actions.Send)} & state.worker_of.keys()
            check.check_touched(state, touched, [state.worker_of[peer].worker_id for peer in workers])


def check_node(node: SimulatedNode, extra: int = 0) -> None:
    """It has never served more than its cap, and nobody has ever wanted more of it than its credit."""
    served, cap = node.sender.flows_max, config.source_transfers_max + extra
    assert served <= cap, f"{node.name} has served {served} at once, and its cap is {cap}"
    assert not node.sender.excessive, f"{node.sender.excessive} chunks were wanted of {node.name} beyond the credit"


def check_forgotten(state: State) -> None:
    """Nothing is left of a client that has gone, and of its work."""
    left: dict[str, Sized] = {
        "tasks": state.tasks.by_id,
        "attempts": [attempt_id for worker in state.workers.values() for attempt_id in worker.attempts],
        "files": state.files.by_id,
        "objects": state.files.objects,
        "transfers": state.transfers.active,
        "wants": state.transfers.wanting,
        "downloads": state.downloads.by_url,
        "collecting": state.collecting,
        "broadcasts": state.copies.broadcasts,
        "libraries": state.libraries,
        "categories": state.categories,
        "brought": state.brought_paths,
    }
    for name, table in left.items():
        assert not table, f"{len(table)} {name} have outlived their client: {str(table)[:200]}"
    queued = [task_id for shape in state.placement.shapes.values() for _, _, task_id in shape.queue]
    assert not queued, f"{queued} are in queues, and have ended"
