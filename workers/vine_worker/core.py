"""What does the worker do next: the manager's messages and local events go in, actions come out."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, get_args

import msgspec

from vine import config
from vine.names import AttemptId, ObjectId
from vine.wire.parts import Assignment, AttemptResult, Outcome, Resources
from vine.wire.worker_messages import (
    AbandonDownload,
    AbandonFetch,
    CancelAttempts,
    ChangeSources,
    DownloadEnded,
    DownloadUrl,
    DropObjects,
    EndsJournaled,
    EndWorker,
    FetchEnded,
    FetchObject,
    ObjectsEvicted,
    RateObjects,
    RunAttempts,
    SourceSlow,
    StoreObjects,
    TasksStarted,
    ToWorker,
    UnpackObject,
    VerifyObjects,
    WorkerWelcome,
)
from vine_worker import actions as act
from vine_worker import returning
from vine_worker.arrivals import Arrivals
from vine_worker.attempts import AT_ONCE, Attempt, State, each_of, needed_objects
from vine_worker.board import Board, Kill, limit_of
from vine_worker.enforcement import Enforcement
from vine_worker.functions.dispatch import Dispatch
from vine_worker.functions.libraries import LoadedLibraries
from vine_worker.resources import NOTHING, Grant, Parts, parts
from vine_worker.returning import Ends
from vine_worker.successors import Successors
from vine_worker.watching import Watching

_NOTHING_CLAIMED: Mapping[ObjectId, int] = {}
_FROM_MANAGER = frozenset(get_args(ToWorker))

Event: TypeAlias = ToWorker | act.LocalEvent | FetchEnded | SourceSlow | DownloadEnded


class WorkerCore:
    """Attempts, objects and hosts of one worker.

    Attempts start in the order of their arrival as resources allow. One whose inputs are here may pass one
    that still stages, but not one that only waits for resources: else small ones would starve large ones. Those
    that ask for no GPU do pass one that waits for nothing else, and leave it what it needs besides.
    """

    def __init__(
        self,
        capacity: Resources,
        inputs_protected: bool,
        resumed: Mapping[ObjectId, bool] | None = None,
    ) -> None:
        """`resumed` is what an earlier worker has left in the workspace, and whether each is kept for ever."""
        self._board = board = Board(capacity, inputs_protected)
        self._dispatch = dispatch = Dispatch(board, max(1, math.ceil(capacity.cores)))
        self._libraries = libraries = LoadedLibraries(board, dispatch)
        self._arrivals = arrivals = Arrivals(board, self._end_users_of, resumed or {})
        self._enforcement = Enforcement(board, dispatch.pool)
        self._watching = watching = Watching(board)
        self._successors = Successors(board)
        self.attempts = board.attempts
        self.pool = dispatch.pool
        self.epoch = 0  # of the manager that has admitted this worker last
        self._fenced = False  # What speaks now is a manager that has been replaced.
        self._ends = Ends(board.task_of)
        self._news_since_s: float | None = None  # when it was seen first that `flush` has something to say
        self._on: dict[type[Any], Callable[[Any], None]] = {
            RunAttempts: self._on_run,
            EndsJournaled: self._ends.journaled,
            CancelAttempts: self._on_cancel,
            StoreObjects: arrivals.store,
            FetchObject: arrivals.fetch,
            ChangeSources: arrivals.change_sources,
            AbandonFetch: arrivals.abandon,
            UnpackObject: arrivals.unpack,
            DownloadUrl: arrivals.download,
            AbandonDownload: arrivals.abandon_download,
            RateObjects: arrivals.rate,
            VerifyObjects: arrivals.verify,
            DropObjects: arrivals.drop,
            EndWorker: self._on_end,
            FetchEnded: arrivals.fetch_ended,
            SourceSlow: arrivals.source_slow,
            DownloadEnded: arrivals.download_ended,
            act.Kept: arrivals.kept,
            act.Arriving: arrivals.arriving,
            act.Unpacked: arrivals.unpacked,
            act.Verified: arrivals.verified,
            act.Evicted: arrivals.evicted,
            act.Lost: arrivals.altered_by_others,
            act.BodyEnded: self._on_body_ended,
            act.BodyReturned: self._on_body_returned,
            act.Collected: self._on_collected,
            act.Used: self._on_used,
            act.Grown: watching.grown,
            act.HostReady: dispatch.host_ready,
            act.LibraryReady: libraries.ready,
            act.LibraryGone: libraries.gone,
            act.CallsEnded: dispatch.calls_ended,
            act.CallsReturned: dispatch.calls_returned,
            act.HostEnded: dispatch.host_ended,
        }

    # --- the driver's side ---

    def claims(self, event: Event) -> Mapping[ObjectId, int]:
        """What must be pinned in the store, and how often, before the event is handled.

        And what the store has given up by then must be told first: so that what the core takes for
        being here, when it starts something, is here.
        """
        if isinstance(event, RunAttempts):
            accepted = {assignment.attempt: assignment for assignment in event.assignments if self._is_new(assignment)}
            return each_of(Counter(map(needed_objects, accepted.values())))
        return self._arrivals.claims(event) if isinstance(event, UnpackObject) else _NOTHING_CLAIMED

    def handle(self, event: Event, now: float) -> list[act.Action]:
        """Takes in a message of the manager or a local event, and what its node and its downloads report."""
        self._board.now = now
        if isinstance(event, WorkerWelcome):
            self._on_welcome(event)
        elif not (self._fenced and type(event) in _FROM_MANAGER):
            self._on[type(event)](event)
        return self._take_actions()

    def tick(self, now: float) -> list[act.Action]:
        """Does what is due."""
        board = self._board
        board.now = now
        while board.limits and board.limits[0][0] <= now:
            attempt = self.attempts.get(heapq.heappop(board.limits)[1])
            if attempt is not None and attempt.state is State.RUNNING and limit_of(attempt) <= now:
                self._stop(attempt, Outcome.TIME_LIMIT)
        while board.kills and board.kills[0][0] <= now:
            kill = heapq.heappop(board.kills)[2]
            if self._lives(kill):
                board.actions.append(kill)
        self._dispatch.tick()
        self._libraries.tick()
        self._enforcement.tick()
        self._watching.tick()
        self._successors.tick()
        return self._take_actions()

    def next_deadline(self) -> float | None:
        board = self._board
        times = [heap[0][0] for heap in (board.limits, board.kills) if heap]
        rooms = (self.pool, self._libraries, self._enforcement, self._watching, self._successors)
        others = [room.next_deadline() for room in rooms]
        times += (time_s for time_s in others if time_s is not None)
        return min(times, default=None)

    def news_due(self) -> float | None:
        """When `flush` should be called; ask after all that happens.

        At once, unless attempts wait for their turn here: then there is more to say soon, and all of it together
        costs the manager, and in turn the client, as much as one result alone.
        """
        board = self._board
        if not board.started and not board.results:
            return None
        if self._news_since_s is None:
            self._news_since_s = board.now
        more_comes = board.ready or self._successors.waiting or self.pool.has_waiting
        return self._news_since_s + (config.news_hold_s if more_comes else 0.0)

    def rests_until(self) -> float:
        """Until when hosts need not be heard: news is held back as it is, and they have more to do."""
        due = self.news_due()
        return self._board.now if due is None else min(due, self._board.now + self.pool.busy_s())

    def flush(self) -> list[act.Action]:
        """News for the manager, in batches; an attempt that has ended already is not said to have started."""
        board = self._board
        self._news_since_s = None
        news: list[act.Action] = []
        started = tuple(attempt_id for attempt_id in board.started if attempt_id in self.attempts)
        if started:
            news.append(act.Send(TasksStarted(started)))
        news += (act.Send(self._ends.tell(batch, size)) for batch, size in batches(board.results))
        gone = returning.not_here(board, board.results)
        if gone:  # It had been made before, and was dropped just now.
            news.append(act.Send(ObjectsEvicted(gone)))
        board.started, board.results = [], []
        return news

    @property
    def idle(self) -> bool:
        """Nothing runs, waits or is on its way to the manager."""
        return not self.attempts and not self._board.results and not self._arrivals.downloading

    @property
    def idle_since_s(self) -> float:
        return self._board.idle_since_s

    def _take_actions(self) -> list[act.Action]:
        self._pump()
        self._arrivals.stop_unwanted()
        board = self._board
        actions, board.actions = board.actions, []
        if board.unpinned:
            actions.insert(0, act.Unpin(each_of(board.unpinned)))
            board.unpinned.clear()
        return actions

    # --- the manager's messages ---

    def _on_welcome(self, message: WorkerWelcome) -> None:
        self._fenced = message.epoch < self.epoch
        if self._fenced:
            return
        is_first, self.epoch = not self.epoch, message.epoch
        self._board.actions.append(act.Admitted(message.source_key, message.transfers_max))
        if is_first:
            self._arrivals.announce()
        else:
            returning.give_up_waiting(self._board)
            self._arrivals.stop_all()
            self._watching.begin_anew()
            returning.tell(self._board, self._ends, self._arrivals.forever)

    def _on_run(self, message: RunAttempts) -> None:
        for assignment in message.assignments:
            if self._is_new(assignment):
                self._accept(assignment)

    def _is_new(self, assignment: Assignment) -> bool:
        return assignment.attempt.epoch >= self.epoch and assignment.attempt not in self.attempts

    def _accept(self, assignment: Assignment) -> None:
        board = self._board
        attempt = Attempt(assignment, board.count(), board.now, needs=needed_objects(assignment))
        self.attempts[attempt.attempt_id] = attempt
        if assignment.outputs and any(mount.watched for mount in assignment.outputs):
            self._watching.begin(attempt.attempt_id)
        attempt.missing = board.inventory.use(attempt.attempt_id, attempt.needs)
        if not board.ledger.could_fit(assignment.allotment):
            message = f"{assignment.label or 'the task'} was given more than this worker has; ask for less"
            attempt.ending = act.Ending(Outcome.NO_WORKER_FITS, message=message)
            board.finish(attempt, None)
        elif not attempt.missing:
            board.make_ready(attempt)

    def _on_cancel(self, message: CancelAttempts) -> None:
        for attempt_id in message.attempts:
            attempt = self.attempts.get(attempt_id)
            if attempt is not None:
                self._stop(attempt, Outcome.CANCELLED)

    def _on_end(self, message: EndWorker) -> None:
        self._board.actions.append(act.End(message.reason))

    # --- starting ---

    def _pump(self) -> None:
        """Starts what may start, in order."""
        board, passed = self._board, list[tuple[int, AttemptId]]()
        kept = NOTHING  # for the first one that is passed: it is next as soon as GPUs are free
        while board.ready:
            attempt = self.attempts.get(board.ready[0][1])
            if attempt is not None and attempt.state is State.READY:
                if board.under_check and not board.under_check.keys().isdisjoint(attempt.needs):
                    break
                library = attempt.assignment.library
                if library is None or not self._libraries.admit(attempt, library):
                    wanted = attempt.assignment.allotment
                    lacks_gpus = wanted.gpus > 0 and (bool(passed) or board.ledger.lacks_only_gpus(wanted))
                    grant = None if lacks_gpus else board.ledger.take(wanted, kept)
                    if grant is not None:
                        self._start(attempt, grant)
                    elif not (passed and lacks_gpus) and self._found_place(attempt, kept):
                        pass  # Nothing goes behind a call on a GPU for which somebody waits: it would be kept for ever.
                    elif lacks_gpus:
                        kept = kept if passed else parts(wanted)
                        passed.append(board.ready[0])
                    else:
                        break
            heapq.heappop(board.ready)
        for entry in passed:
            heapq.heappush(board.ready, entry)

    def _found_place(self, attempt: Attempt, kept: Parts) -> bool:
        """Whether one for which nothing is free goes behind a short one; else libraries that idle make room."""
        self._libraries.make_room(attempt.assignment.allotment, kept)
        if not attempt.hosted:
            return self._successors.hand(attempt)
        return attempt.assignment.library is None and self._dispatch.hand_ahead(attempt)

    def _start(self, attempt: Attempt, grant: Grant) -> None:
        if attempt.assignment.library is not None:
            self._libraries.load(attempt, attempt.assignment.library, grant)
        elif attempt.hosted:
            self._dispatch.start(attempt, grant)
        else:
            attempt.grant = grant
            self._board.actions.append(act.StartBody(attempt.assignment, grant))
            self._runs(attempt)

    def _runs(self, attempt: Attempt) -> None:
        """A command or interpreter, from now on."""
        attempt.move(State.RUNNING)
        self._board.count_time(attempt)
        self._successors.started(attempt)

    # --- stopping ---

    def _stop(self, attempt: Attempt, why: Outcome) -> None:
        if attempt.stop is not None or attempt.state is State.COLLECTING:
            return  # It is being stopped already, or its end has come first.
        attempt.stop = why
        if attempt.host is not None:
            self._dispatch.recall(self.pool.hosts[attempt.host])
        elif attempt.state is State.RUNNING:
            self._kill(attempt, why)
        elif attempt.state is State.HANDED:
            self._successors.recall(attempt)
        else:
            self._board.finish(attempt, None)

    def _kill(self, attempt: Attempt, why: Outcome) -> None:
        key = attempt.attempt_id
        self._board.kill(act.KillBody(key, force=False), act.KillBody(key, force=True), at_once=why in AT_ONCE)

    def _lives(self, kill: Kill) -> bool:
        if isinstance(kill, act.EndHost):
            return kill.host in self.pool.hosts
        if isinstance(kill, act.EndLibrary):
            return self._libraries.lives(kill.instance)
        attempt = self.attempts.get(kill.attempt)
        return attempt is not None and attempt.state is State.RUNNING

    def _end_users_of(self, object_id: ObjectId) -> None:
        """The object goes, or has gone: idle hosts and libraries that need it end."""
        self._dispatch.end_hosts_of(object_id)
        self._libraries.end_those_of(object_id)

    # --- ends ---

    def _on_body_ended(self, event: act.BodyEnded) -> None:
        attempt = self.attempts[event.attempt]
        successor = self._successors.ended(attempt)
        if successor is not None:
            self._runs(successor)
            if successor.stop is not None:  # Too late to have it back.
                self._kill(successor, successor.stop)
        elif attempt.grant is not None:
            self._board.ledger.give_back(attempt.grant)
            attempt.grant = None
        if self._board.inputs_protected or not attempt.assignment.inputs:  # Else one might start on what it altered.
            self._pump()  # First the next one starts, then what this one has left is taken.
        self._board.ended(attempt, event.ending)

    def _on_body_returned(self, event: act.BodyReturned) -> None:
        attempt = self.attempts[event.attempt]
        self._successors.returned(attempt)
        self._board.take_back(attempt)

    def _on_used(self, event: act.Used) -> None:
        for attempt, why in self._enforcement.used(event):
            self._stop(attempt, why)

    def _on_collected(self, event: act.Collected) -> None:
        attempt = self.attempts[event.attempt]
        self._board.checked(attempt)
        if event.altered:
            self._arrivals.lost(event.altered, event.message)
        for output in event.outputs:
            self._arrivals.arrived(output.object_id)
        if event.value_object is not None:
            self._arrivals.arrived(event.value_object)
        self._board.finish(attempt, event)

    def check(self) -> None:
        """Asserts what must hold between any two events."""
        self._board.check()
        self._dispatch.check()
        self._libraries.check()
        self._successors.check()


def batches(results: list[AttemptResult]) -> Iterator[tuple[tuple[AttemptResult, ...], int]]:
    """Results in messages that stay near the batch size, and how many bytes each is beside what all take.

    One result may carry a value and two outputs of a megabyte.
    """
    batch: list[AttemptResult] = []
    size = 0
    for result in results:
        batch.append(result)
        size += len(result.value or b"") + len(result.stdout) + len(result.stderr)
        if result.value_manifest is not None or result.outputs:
            size += len(msgspec.msgpack.encode(result))
        if size >= config.batch_bytes_target or len(batch) >= config.message_items_max:
            yield tuple(batch), size
            batch, size = [], 0
    if batch:
        yield tuple(batch), size
