"""A world whose manager dies and is started again: it has a journal, and peers that come back."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Collection
from typing import Any

import msgspec

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.world import World
from vine.manager import schema
from vine.manager.batch import Batch
from vine.manager.lives import Given
from vine.manager.replay import read_run
from vine.names import AttemptId, ClientId, FileId, HostId, ObjectId, TaskId, WorkerId
from vine.scheduler import actions
from vine.scheduler.actions import PeerKey
from vine.scheduler.check import check
from vine.scheduler.core import Scheduler
from vine.scheduler.records import Record, TaskEnded
from vine.scheduler.replayed import ReplayedRun
from vine.scheduler.state import State
from vine.wire import messages as m
from vine.wire import worker_messages as w
from vine.wire.parts import BegunAttempt, TaskResult

KEY = b"k" * 32
_ASKS = (m.BringFile, m.BringResult, m.SpreadFile, m.ReplicateFile)


class Kept:
    """What one end of a session has said, and keeps until it is known to be in the journal."""

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._dropped = 0  # of this session

    def say(self, message: m.Message) -> None:
        self._messages.append(message)

    def journaled(self, messages: int) -> None:
        assert self._dropped <= messages <= self._dropped + len(self._messages), "more is written than was said"
        del self._messages[: messages - self._dropped]
        self._dropped = messages

    def again(self) -> list[Any]:
        """All of it, to be said in a new session."""
        self._dropped = 0
        self._messages = [message for message in self._messages if not isinstance(message, (*_ASKS, m.TasksAwaited))]
        return list(self._messages)


class RestartingWorld(World):
    """`commit` writes what has been recorded; `crash` ends the manager, and begins the next one with what was."""

    def __init__(self, workers: int = 0, **settings: Any) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.executescript(schema.script)
        self.staged: set[str] = set()  # paths in the staging folder
        self.committed: dict[TaskId, TaskResult] = {}
        self.crashes = 0
        self.away: dict[WorkerId, FakeWorker] = {}  # that have not found the new manager yet
        self._client_away, self._crashed_at = False, 0.0
        self._open_attempts: dict[AttemptId, Given] = {}
        self._steps = 0
        self._uncommitted: list[tuple[int, tuple[Record, ...]]] = []  # by the number of the step
        self._removals: list[tuple[int, str]] = []
        self._asked_at: int | None = None  # the step in which the core asked whether the journal is written
        self._said = Kept()  # by the client, and not known to be in the journal
        self._told: dict[WorkerId, Kept] = {}  # the same of ends, by workers
        self._asks: list[m.Message] = []
        self._task_of: dict[AttemptId, TaskId] = {}
        self._submitted: set[TaskId] = set()
        self._hellos: dict[WorkerId, w.WorkerHello] = {}
        super().__init__(workers, **settings)

    # --- the journal -----------------------------------------------------------------------------

    def step(self, todo: list[actions.Action]) -> None:
        self._steps += 1
        super().step([self._without_known_results(self._written(action)) for action in todo])

    def _written(self, action: actions.Action) -> actions.Action:
        match action:
            case actions.Journal(records):
                self._uncommitted.append((self._steps, records))
            case actions.AskJournal():
                assert self._asked_at is None, "the journal is asked twice"
                self._asked_at = self._steps
            case actions.Send(peer, m.Journaled(messages)) if peer == self.client:
                self._said.journaled(messages)
            case actions.Send(peer, w.EndsJournaled(messages)):
                (worker_id,) = [worker.worker_id for worker in self.workers.values() if worker.peer == peer]
                self._told[worker_id].journaled(messages)
            case actions.Send(_, w.RunAttempts(assignments)):
                self._task_of.update((each.attempt, each.task_id) for each in assignments)
            case actions.CopyFile(path, second):
                assert path in self.staged or path.startswith("/data/"), f"{path} is copied, and is not there"
                self.staged.add(second)
            case actions.WriteFile(path, _):
                self.staged.add(path)
            case actions.RemoveFile(path, when_written=True):
                self._removals.append((self._steps, path))
            case actions.RemoveFile(path):
                self.staged.discard(path)
        return action

    def _without_known_results(self, action: actions.Action) -> actions.Action:
        """What the last manager had not written down may be told twice: it does not change what is known."""
        if not isinstance(action, actions.Send) or not isinstance(action.message, m.TasksEnded):
            return action
        for result in action.message.results:
            assert result.value_path is None or result.value_path in self.staged, f"{result.value_path} is not there"
        new = tuple(r for r in action.message.results if not (self.crashes and r.task_id in self.results))
        return actions.Send(action.peer, m.TasksEnded(new))

    def commit(self, unwritten: int = 0) -> None:
        """A group commit that holds all but the last so many steps; what hangs on it may happen from now on."""
        upto = self._steps - unwritten
        batch = Batch(self._open_attempts)
        for step, records in self._uncommitted:
            if step > upto:
                continue
            batch.add(records, self.now)
            for record in records:
                if isinstance(record, TaskEnded):
                    assert record.result.task_id not in self.committed, "a task was committed twice"
                    self.committed[record.result.task_id] = record.result
        batch.write(self.database)
        self.staged -= {path for step, path in self._removals if step <= upto}
        self._uncommitted = [entry for entry in self._uncommitted if entry[0] > upto]
        self._removals = [entry for entry in self._removals if entry[0] > upto]
        if self._asked_at is not None and self._asked_at <= upto:
            self._asked_at = None
            self.step(self.core.local(actions.JournalWritten(), self.now))

    # --- the crash -------------------------------------------------------------------------------

    def crash(self, unwritten: int = 0) -> None:
        """The manager dies when all but the last so many steps are in the journal; another one takes its place."""
        self.commit(unwritten)
        self._write_facts()
        self.crashes += 1
        self._uncommitted, self._removals, self._asked_at = [], [], None
        self._client_away, self._crashed_at = True, self.now
        self.away = dict(self.workers)
        self.local, self.verifying, self.served = {}, [], set()
        for worker in self.workers.values():
            worker.manager_lost()
        self.settings = dataclasses.replace(self.settings, epoch=1 + self.crashes)
        self.core = Scheduler(self.settings)
        self.step(self.core.restore(read_run(self.database), self.staged, self.now))

    def written(self) -> ReplayedRun:
        """What the journal says when all is written."""
        self.commit()
        self._write_facts()
        return read_run(self.database)

    def would_be(self) -> State:
        """The tables of a manager that took the place of this one now."""
        core = Scheduler(dataclasses.replace(self.settings, epoch=2 + self.crashes))
        core.restore(self.written(), self.staged, self.now)
        check(core.state)
        return core.state

    def _write_facts(self) -> None:
        facts = [("epoch", self.crashes + 1), ("run_id", "r"), ("started_s", self.now)]
        self.database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)

    # --- who comes back --------------------------------------------------------------------------

    def say(self, message: m.Message, peer: PeerKey | None = None) -> None:
        if peer is None or peer == self.client:
            self._client_says(message)
            return
        if isinstance(message, w.WorkerHello):
            self._hellos[message.worker_id] = message
        teller = next((worker for worker in self.workers.values() if worker.peer == peer), None)
        if teller is not None and teller.worker_id in self.away and not isinstance(message, w.AttemptsEnded):
            self.worker_returns(teller)
            peer = teller.peer
        if teller is None or teller.worker_id not in self.away:
            super().say(message, peer)
        if teller is not None and isinstance(message, w.AttemptsEnded):
            self._told.setdefault(teller.worker_id, Kept()).say(message)

    def _client_says(self, message: m.Message) -> None:
        if self._client_away:
            self.client_returns()
        if isinstance(message, m.SubmitTasks):
            self._submitted.update(spec.task_id for spec in message.tasks)
        if isinstance(message, m.ClientHello):
            message = msgspec.structs.replace(message, key=KEY)
        elif isinstance(message, _ASKS):
            self._asks.append(message)
        if not isinstance(message, m.ClientHello):
            self._said.say(message)
        super().say(message, self.client)

    def client_returns(self) -> None:
        """It finds the new manager: what may not be in the journal is said again."""
        self._client_away = False
        hello = m.ClientHello(ClientId("c"), HostId("here"), "3.11", KEY, 0, self.crashes)
        self.client = PeerKey(f"client-{self.crashes}")
        super().say(hello, self.client)
        for message in self._said.again():
            super().say(message, self.client)
        news = [m.TasksAwaited(tuple(sorted(self._submitted - self.results.keys())))]
        for message in [*news, *(asked for asked in self._asks if not self._is_answered(asked))]:
            self._said.say(message)
            super().say(message, self.client)

    def _is_answered(self, asked: m.Message) -> bool:
        return any(
            (isinstance(asked, m.BringResult) and isinstance(a, m.ResultBrought) and a.task_id == asked.task_id)
            or (isinstance(asked, m.BringFile) and isinstance(a, m.FileBrought) and a.file_id == asked.file_id)
            or (isinstance(asked, m.SpreadFile) and isinstance(a, m.FileSpread) and a.request == asked.request)
            for a in self.inbox
        )

    def worker_returns(self, worker: FakeWorker) -> None:
        """It finds the new manager, and tells what it has kept."""
        del self.away[worker.worker_id]
        worker.peer = PeerKey(f"{worker.worker_id}-{self.crashes}")
        super().say(msgspec.structs.replace(self._hellos[worker.worker_id], epoch=self.crashes), worker.peer)
        ends = self._told.setdefault(worker.worker_id, Kept()).again()
        told = [result for message in ends for result in message.results]
        made = {output.object_id for result in told for output in result.outputs}
        made |= {result.value_object for result in told if result.value_object is not None}
        held, forever = (tuple(sorted(objects - made)) for objects in (worker.holds, worker.forever & worker.holds))
        attempts = tuple(
            BegunAttempt(attempt, self._task_of[attempt])
            for attempt in (*worker.running, *(result.attempt for result in told))
        )
        made_here = tuple(sorted(made & worker.holds))
        super().say(w.WorkerReturned(attempts, held, forever, made_here), worker.peer)
        for message in ends:
            super().say(message, worker.peer)

    def pass_time(self, seconds: float, silent: Collection[FakeWorker] = ()) -> None:
        """A client that stayed away for longer than its lease would have given up by itself."""
        if self._client_away and self.now + seconds >= self._crashed_at + self.settings.lease_s:
            self.client_returns()
        super().pass_time(seconds, silent)

    def bind(self, file_id: FileId, name: str = "big", chunks: int = 8) -> ObjectId:
        if self._client_away:
            self.client_returns()
        return super().bind(file_id, name, chunks)

    def lose(self, worker_id: str) -> None:
        if self.away.pop(WorkerId(worker_id), None) is None:
            super().lose(worker_id)
        else:
            del self.workers[WorkerId(worker_id)]
        self._told.pop(WorkerId(worker_id), None)

    def possible_events(self) -> list[tuple[str, FakeWorker | None, object]]:
        """Bodies end though their worker has not found the manager; all else waits for that."""
        returns = [("returns", worker, None) for worker in self.away.values()]
        returns += [("client returns", None, None)] if self._client_away else []
        return [*super().possible_events(), *returns]

    def happen(self, event: tuple[str, FakeWorker | None, object]) -> None:
        kind, worker, _ = event
        if kind == "returns" and worker is not None:
            self.worker_returns(worker)
        elif kind == "client returns":
            self.client_returns()
        elif kind == "brought":
            self.staged.add(self.local[event[2]].destination)
            super().happen(event)
        else:
            super().happen(event)
