"""What does the manager do about each message: events go in, actions come out, nothing else happens.

The live loop and the simulator are two drivers of equal rank. Every public method is one step: it
takes the time as an argument and returns the actions that its driver must carry out in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from vine.errors import MalformedMessage
from vine.names import TaskId
from vine.scheduler import (
    acknowledging,
    actions,
    admission,
    appointments,
    broadcasting,
    closing,
    collecting,
    completion,
    dispatch,
    downloads,
    fleet,
    gates,
    installing,
    keeping,
    losses,
    no_room,
    prefetching,
    pruning,
    reasons,
    recovery,
    replicating,
    reservations,
    restoring,
    results,
    returning,
    spreading,
    staging,
    submission,
    suspicion,
    upkeep,
)
from vine.scheduler.actions import (
    Action,
    JournalWritten,
    LocalEvent,
    LocalVerified,
    PeerKey,
)
from vine.scheduler.peers import ClientRecord, FactoryRecord
from vine.scheduler.records import AttemptStarted
from vine.scheduler.replayed import ReplayedRun
from vine.scheduler.settings import Settings
from vine.scheduler.state import State
from vine.scheduler.tasks import TaskState
from vine.scheduler.workers import WorkerRecord
from vine.wire import messages as m
from vine.wire.worker_messages import (
    AttemptsEnded,
    DownloadEnded,
    EndWorker,
    FetchEnded,
    LibraryEnded,
    LibraryLoaded,
    ObjectsEvicted,
    ObjectsHeld,
    ObjectsLost,
    OutputGrown,
    SourceSlow,
    TasksStarted,
    WorkerBye,
    WorkerHello,
    WorkerReturned,
    WorkerStatus,
)

_STAGED, _RUNNING = TaskState.STAGED, TaskState.RUNNING

_Handler = Callable[[Any, Any], None]


class Scheduler:
    """The manager's pure core."""

    def __init__(self, settings: Settings) -> None:
        self.state = State(settings)
        self._dispatch = dispatch.Dispatch(self.state)
        self._hellos: dict[type[m.Message], Callable[[State, PeerKey, Any], None]] = {
            m.ClientHello: admission.client_says_hello,
            WorkerHello: admission.worker_says_hello,  # From a worker it is strange: one session is one worker.
            m.FactoryHello: admission.factory_says_hello,
        }
        self._from_client: dict[type[m.Message], _Handler] = {
            m.DeclareFiles: self._on_declare_files,
            m.FileBound: self._on_file_bound,
            m.FileUnreadable: self._on_file_unreadable,
            m.ForgetFiles: self._on_forget_files,
            m.SubmitTasks: self._on_submit_tasks,
            m.CancelTasks: self._on_cancel_tasks,
            m.BringFile: self._on_bring_file,
            m.SpreadFile: self._on_spread_file,
            m.ReplicateFile: self._on_replicate_file,
            m.PruneFiles: self._on_prune_files,
            m.ForgetResults: self._on_forget_results,
            m.KeepResults: self._on_keep_results,
            m.BringResult: self._on_bring_result,
            m.SetCategory: self._on_set_category,
            m.SetHosts: self._on_set_hosts,
            m.AwaitWorkers: lambda client, message: gates.await_workers(self.state, client, message.count),
            m.InstallLibrary: self._on_install_library,
            m.RemoveLibrary: self._on_remove_library,
            m.TasksAwaited: self._on_tasks_awaited,
            m.ClientBye: self._on_client_bye,
        }
        self._from_worker: dict[type[m.Message], _Handler] = {
            WorkerReturned: self._on_worker_returned,
            TasksStarted: self._on_tasks_started,
            AttemptsEnded: self._on_attempts_ended,
            OutputGrown: lambda worker, message: collecting.output_grown(self.state, worker, message),
            ObjectsHeld: self._on_objects_held,
            ObjectsLost: self._on_objects_lost,
            ObjectsEvicted: self._on_objects_evicted,
            FetchEnded: self._on_fetch_ended,
            SourceSlow: self._on_source_slow,
            DownloadEnded: self._on_download_ended,
            LibraryLoaded: lambda worker, message: installing.loaded(self.state, worker, message),
            LibraryEnded: lambda worker, message: installing.ended(self.state, worker, message),
            WorkerStatus: self._on_worker_status,
            WorkerBye: self._on_worker_bye,
        }
        self._from_factory: dict[type[m.Message], _Handler] = {m.FactoryStatus: self._on_factory_status}

    # --- steps ---------------------------------------------------------------------------------

    def restore(self, run: ReplayedRun, staged: Collection[str], now: float) -> list[Action]:
        """Before anything else: take up a run whose manager has died. `staged` are the staging folder's files."""
        self.state.now = now
        restoring.restore(self.state, run, staged)
        return self._finish()

    def handle(self, peer: PeerKey, message: m.Message, now: float) -> list[Action]:
        """A message has come from a peer."""
        state = self.state
        state.now = now
        try:
            if (worker := state.worker_of.get(peer)) is not None:  # As most messages do, it comes from a worker.
                worker.heard_at = now
                if (said := self._from_worker.get(type(message))) is not None:
                    said(worker, message)
                else:
                    state.strange += 1
                return self._finish()
            if (client := state.clients.get(peer)) is not None and (handler := self._from_client.get(type(message))):
                client.heard_at = now
                client.said += 1
                handler(client, message)
                return self._finish()
            self.heard(peer, now)
            if (hello := self._hellos.get(type(message))) is not None:
                hello(state, peer, message)
            elif (factory := state.factories.get(peer)) and (said := self._from_factory.get(type(message))):
                said(factory, message)
            else:
                state.strange += 1  # It has left, never said hello, or may not say this.
        except MalformedMessage:
            state.strange += 1  # Raised before anything was changed.
        return self._finish()

    def heard(self, peer: PeerKey, now: float, cut_at: float | None = None) -> None:
        """The peer lived then: silence is counted from there. Its connection was found closed at `cut_at`, if so."""
        state = self.state
        record: ClientRecord | WorkerRecord | FactoryRecord | None
        record = state.clients.get(peer) or state.factories.get(peer) or state.worker_of.get(peer)
        if record is not None:
            record.heard_at = now
            if isinstance(record, WorkerRecord):
                record.cut_at = cut_at

    def peer_lost(self, peer: PeerKey, reason: str, now: float) -> list[Action]:
        """The driver knows that the peer is gone."""
        self.state.now = now
        admission.lose(self.state, peer, reason)
        return self._finish()

    def local(self, event: LocalEvent, now: float) -> list[Action]:
        """The manager itself has finished something."""
        state = self.state
        state.now = now
        if isinstance(event, JournalWritten):
            acknowledging.answered(state)
        elif isinstance(event, LocalVerified):
            recovery.own_copy_verified(state, event.object_id, event.message)
        else:
            collecting.fetch_ended(state, event)
        return self._finish()

    def tick(self, now: float) -> list[Action]:
        """Time has passed: see who was silent too long, what fits nowhere, and who wants news."""
        state = self.state
        state.now = now
        admission.give_up_silent(state)
        appointments.keep(state)
        closing.keep(state)
        returning.keep(state)
        acknowledging.ask(state)
        installing.keep(state)
        state.placement.discard_ended(state.tasks.by_id)
        suspicion.keep(state)
        fleet.fail_what_fits_nowhere(state)
        fleet.try_again_where_avoided(state)
        no_room.keep(state)
        replicating.ask_again(state)
        reservations.renew(state)
        prefetching.clean(state)
        state.placement.discard_empty_shapes()
        fleet.tell_news(state)
        return self._finish()

    def was_busy(self, seconds: float) -> None:
        """So much of its own time has the driver worked since it last said so."""
        self.state.feeding.was_busy(seconds)

    def next_deadline(self) -> float:
        """When to call `tick` at the latest."""
        appointment = self.state.appointments
        return min(self.state.news_at, appointment[0][0]) if appointment else self.state.news_at

    def stop(self, reason: str, now: float) -> list[Action]:
        """The run is over: everybody is told to end."""
        state = self.state
        state.now = now
        state.stopping = True
        for worker in state.workers.values():
            state.send(worker.peer, EndWorker(reason))
        for factory in state.factories.values():
            state.send(factory.peer, m.EndFactory(reason))
        for client in state.clients.values():
            state.send(client.peer, m.Refused(f"the manager has ended: {reason}"))
        for file in state.files.by_id.values():
            upkeep.unlink(state, file)
        state.do(actions.EndRun(reason))
        return state.take_actions()

    # --- questions -----------------------------------------------------------------------------

    def snapshot(self, now: float) -> dict[str, Any]:
        """The run as views show it: plain data."""
        self.state.now = now
        return reasons.snapshot(self.state)

    def why(self, task_id: TaskId, now: float) -> str:
        """Why the task is where it is."""
        self.state.now = now
        return reasons.why(self.state, self.state.tasks.by_id[task_id])

    # --- within a step -------------------------------------------------------------------------

    def _finish(self) -> list[Action]:
        state = self.state
        if state.doomed:
            self._end_doomed()
        if state.placement.due:
            self._dispatch.go_on()
        if state.is_settled():
            return state.take_actions()  # As after most messages.
        downloads.settle(state)
        while state.doomed:  # An input of a task that was ready is gone, and cannot be had again.
            self._end_doomed()
            self._dispatch.go_on()
            downloads.settle(state)
        if state.transfers.dirty:
            recovery.reroute(state)
        broadcasting.settle(state)
        replicating.settle(state)
        state.copies.settled()
        spreading.settle(state)
        if prefetching.settle(state):
            recovery.reroute(state)
            spreading.settle(state)
        keeping.rate(state)
        return state.take_actions()

    def _end_doomed(self) -> None:
        state = self.state
        while state.doomed:
            doomed, state.doomed = state.doomed, {}  # Taken one by one from the front, each would cost more.
            for task_id, (outcome, message) in doomed.items():
                record = state.tasks.by_id.get(task_id)
                if record is not None and not record.state.ended and record.attempt is None:
                    completion.end(state, record, outcome, message)

    # --- clients -------------------------------------------------------------------------------

    def _on_declare_files(self, client: ClientRecord, message: m.DeclareFiles) -> None:
        for spec in message.files:
            submission.check(self.state, client, spec)
        for spec in message.files:
            submission.declare(self.state, client, spec)

    def _on_file_bound(self, client: ClientRecord, message: m.FileBound) -> None:
        submission.bind(self.state, client, message)

    def _on_file_unreadable(self, client: ClientRecord, message: m.FileUnreadable) -> None:
        submission.unreadable(self.state, client, message)

    def _on_forget_files(self, client: ClientRecord, message: m.ForgetFiles) -> None:
        submission.forget_files(self.state, client, message.file_ids)

    def _on_submit_tasks(self, client: ClientRecord, message: m.SubmitTasks) -> None:
        for spec in message.tasks:
            submission.submit(self.state, client, spec)

    def _on_cancel_tasks(self, client: ClientRecord, message: m.CancelTasks) -> None:
        for task_id in message.task_ids:
            submission.cancel(self.state, client, task_id, message.unless_running)

    def _on_bring_file(self, client: ClientRecord, message: m.BringFile) -> None:
        file = self.state.files.by_id.get(message.file_id)
        if file is None or file.client != client.peer:
            self.state.send(client.peer, m.FileBrought(message.file_id, None, "this file is not declared (any more)"))
        else:
            collecting.bring(self.state, client.peer, file)

    def _on_spread_file(self, client: ClientRecord, message: m.SpreadFile) -> None:
        broadcasting.start(self.state, client, message)

    def _on_replicate_file(self, client: ClientRecord, message: m.ReplicateFile) -> None:
        replicating.start(self.state, client, message)

    def _on_prune_files(self, client: ClientRecord, message: m.PruneFiles) -> None:
        for file_id in message.file_ids:
            pruning.prune(self.state, client, file_id)

    def _on_forget_results(self, client: ClientRecord, message: m.ForgetResults) -> None:
        submission.forget_results(self.state, client, message.task_ids)

    def _on_keep_results(self, client: ClientRecord, message: m.KeepResults) -> None:
        for task_id in message.task_ids:
            submission.keep_result(self.state, client, task_id)

    def _on_bring_result(self, client: ClientRecord, message: m.BringResult) -> None:
        results.asked_for(self.state, client, message.task_id)

    def _on_set_category(self, client: ClientRecord, message: m.SetCategory) -> None:
        submission.set_category(self.state, client, message.category)

    def _on_set_hosts(self, client: ClientRecord, message: m.SetHosts) -> None:
        closing.set_hosts(self.state, message)

    def _on_install_library(self, client: ClientRecord, message: m.InstallLibrary) -> None:
        installing.install(self.state, client, message.library)

    def _on_remove_library(self, client: ClientRecord, message: m.RemoveLibrary) -> None:
        installing.remove(self.state, client, message.file_id)

    def _on_tasks_awaited(self, client: ClientRecord, message: m.TasksAwaited) -> None:
        returning.tell_again(self.state, client, message)

    def _on_client_bye(self, client: ClientRecord, message: m.ClientBye) -> None:
        admission.lose(self.state, client.peer, "left")

    # --- workers -------------------------------------------------------------------------------

    def _on_worker_returned(self, worker: WorkerRecord, message: WorkerReturned) -> None:
        returning.returned(self.state, worker, message)

    def _on_tasks_started(self, worker: WorkerRecord, message: TasksStarted) -> None:
        state = self.state
        for attempt in message.attempts:
            record = worker.attempts.get(attempt)
            if record is not None and record.state is _STAGED:
                state.tasks.move(record, _RUNNING)
                state.record(AttemptStarted(attempt))
        state.prefetches.open(worker)

    def _on_attempts_ended(self, worker: WorkerRecord, message: AttemptsEnded) -> None:
        if worker.returning:
            return  # It says so again when it has said what it has.
        worker.ends_told += 1
        for result in message.results:
            completion.attempt_ended(self.state, worker, result)

    def _on_objects_held(self, worker: WorkerRecord, message: ObjectsHeld) -> None:
        for object_id in message.object_ids:
            fleet.announced(self.state, worker, object_id, object_id in message.forever)
        staging.plan_all(self.state)

    def _on_objects_lost(self, worker: WorkerRecord, message: ObjectsLost) -> None:
        for object_id in message.object_ids:
            recovery.object_lost_at(self.state, worker, object_id, message.message, message.disk_full)

    def _on_objects_evicted(self, worker: WorkerRecord, message: ObjectsEvicted) -> None:
        for object_id in message.object_ids:
            recovery.object_evicted(self.state, worker, object_id)

    def _on_fetch_ended(self, worker: WorkerRecord, message: FetchEnded) -> None:
        spreading.answered(self.state, worker.worker_id, message.object_id)
        fleet.fetch_ended(self.state, worker, message)

    def _on_source_slow(self, worker: WorkerRecord, message: SourceSlow) -> None:
        spreading.source_slow(self.state, worker, message)

    def _on_download_ended(self, worker: WorkerRecord, message: DownloadEnded) -> None:
        downloads.ended(self.state, worker, message)
        staging.plan_all(self.state)

    def _on_worker_status(self, worker: WorkerRecord, message: WorkerStatus) -> None:
        worker.status = message
        transfers = self.state.transfers
        transfers.served_at_once_max = max(transfers.served_at_once_max, message.flows_out_max)
        self.state.ranks.has_sent(worker.worker_id, message.sent_bytes, self.state.now)
        self.state.prefetches.open(worker)

    def _on_worker_bye(self, worker: WorkerRecord, message: WorkerBye) -> None:
        losses.worker_lost(self.state, worker, message.reason or "left", in_order=True)

    # --- factories -----------------------------------------------------------------------------

    def _on_factory_status(self, factory: FactoryRecord, message: m.FactoryStatus) -> None:
        factory.status = message
        closing.set_draining(self.state, factory, message.draining)
