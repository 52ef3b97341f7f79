"""What happens when: the manager's one thread, which lets the scheduler decide and does what it says."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import zmq

from vine import config
from vine.content.partial import Partial
from vine.manager.chores import Chores
from vine.manager.journal import Journal
from vine.manager.objects import ServedFiles, landing
from vine.manager.watched import WatchedOutputs
from vine.names import ObjectId, PeerKey, TransferId
from vine.scheduler import actions
from vine.scheduler.actions import Action, LocalFetched, LocalFetchFailed, LocalVerified
from vine.scheduler.core import Scheduler
from vine.transfer.events import Fetched, FetchFailed, NodeEvent, NodeFailed
from vine.transfer.mailbox import Mailbox
from vine.transfer.node import TransferNode
from vine.wire.hub import Hub
from vine.wire.parts import Manifest, Role
from vine.wire.sockets import Gate
from vine.wire.worker_messages import WorkerBye

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside of the scheduler that it acts on; made and closed by `run`."""

    gate: Gate
    hub: Hub
    journal: Journal
    files: ServedFiles
    node: TransferNode
    node_events: deque[NodeEvent]  # filled by calls of the mailbox
    mailbox: Mailbox
    chores: Chores
    watched: WatchedOutputs
    parent_fd: int | None


class Loop:
    """Carries messages to the scheduler and its actions to the world, until the run ends."""

    def __init__(self, world: World, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._gate = world.gate
        self._hub = world.hub
        self._journal = world.journal
        self._files = world.files
        self._node = world.node
        self._node_events = world.node_events
        self._mailbox = world.mailbox
        self._chores = world.chores
        self._watched = world.watched
        self._held: set[TransferId] = set()  # fetches that begin when nothing else is written to their paths
        self._parent_fd = world.parent_fd
        self._peers: dict[PeerKey, Role] = {}
        self._stop_reason: str | None = None
        self._end_reason: str | None = None
        self._statistics_at = 0.0
        self._worked_s = 0.0  # of this thread's time, as was last told
        self._wall_s = 0.0  # by which records are dated: the time of this turn
        self._on: dict[type[Action], Callable[[Any], None]] = {
            actions.Send: self._send,
            actions.Forget: self._forget,
            actions.Journal: self._record,
            actions.AskJournal: self._ask_journal,
            actions.Serve: self._serve,
            actions.StopServing: self._stop_serving,
            actions.VerifyServed: self._verify,
            actions.Fetch: self._fetch,
            actions.AbandonLocal: self._abandon,
            actions.CopyFile: self._copy,
            actions.WriteFile: self._write,
            actions.WritePart: lambda action: self._watched.write(action.path, action.offset, action.data),
            actions.Unlink: self._unlink,
            actions.RemoveFile: self._remove,
            actions.EndRun: self._end_run,
        }

    def stop(self, reason: str) -> None:
        """End the run soon; may be called by signal handlers and other threads."""
        self._mailbox.post(self._note_stop, reason)

    def begin(self, todo: list[Action]) -> None:
        """Do first what comes of taking up a run."""
        self._wall_s = time.time()
        self._do(todo)

    def run(self) -> str:
        """Work until the run ends; returns why it did."""
        poller = zmq.Poller()
        poller.register(self._hub.socket, zmq.POLLIN)
        poller.register(self._mailbox.fileno(), zmq.POLLIN)
        if self._parent_fd is not None:
            poller.register(self._parent_fd, zmq.POLLIN)
        while self._end_reason is None:
            self._turn(dict(poller.poll(self._patience_ms(time.monotonic()))))
        self._say_farewell(poller)
        return self._end_reason

    # --- one turn --------------------------------------------------------------------------------

    def _turn(self, ready: dict[Any, int]) -> None:
        now, self._wall_s = time.monotonic(), time.time()
        if self._mailbox.fileno() in ready:
            self._mailbox.make_calls()
            while self._node_events:
                self._hear_of_node(self._node_events.popleft(), now)
        if self._parent_fd in ready:
            self._look_at_parent()
        handle, flushed_at = self._scheduler.handle, now
        for peer, role, messages in self._hub.receive(now):
            if not self._hub.knows(peer):
                continue  # It was forgotten for what came before in this batch.
            self._peers.setdefault(peer, role)
            for message in messages:
                self._do(handle(peer, message, now))
                if (passed := time.monotonic()) - flushed_at > config.unsent_hold_s:
                    self._hub.flush(now)
                    flushed_at = passed
        if now >= self._scheduler.next_deadline():
            self._look_at_peers(now)
            self._do(self._scheduler.tick(now))
        if now >= self._statistics_at:
            self._note_statistics(now)
        if self._stop_reason is not None:
            self._note_statistics(now)
            self._do(self._scheduler.stop(self._stop_reason, now))
        self._hub.flush(now)

    def _patience_ms(self, now: float) -> int:
        wake_at = min(self._hub.deadline(), self._scheduler.next_deadline(), self._statistics_at)
        return max(0, math.ceil((wake_at - now) * 1000))

    def _look_at_parent(self) -> None:
        assert self._parent_fd is not None
        if not os.read(self._parent_fd, 4096):
            self._note_stop("the program that started it has ended")

    def _look_at_peers(self, now: float) -> None:
        """The scheduler hears messages only; that a peer lives shows in what the sessions say to each other too."""
        known = self._scheduler.state
        for peer in list(self._peers):
            heard_at = self._hub.silent_since(peer)
            self._scheduler.heard(peer, heard_at, self._hub.cut_since(peer))
            is_known = peer in known.worker_of or peer in known.clients or peer in known.factories
            if is_known and self._hub.overflown(peer):
                self._do(self._scheduler.peer_lost(peer, "left more unread than it may", now))
            elif not is_known and now - heard_at > config.manager_lost_after_s:
                self._forget(actions.Forget(peer))  # It never said hello, or was given up long ago.

    def _note_statistics(self, now: float) -> None:
        self._statistics_at = now + config.statistics_interval_s
        worked_s = time.thread_time()
        self._scheduler.was_busy(worked_s - self._worked_s)
        self._worked_s = worked_s
        stats = self._node.stats()
        snapshot = self._scheduler.snapshot(now)
        snapshot["manager"] = {
            "sent_bytes": stats.sent_bytes,
            "received_bytes": stats.received_bytes,
            "flows_out": stats.flows_out,
            "flows_out_max": stats.flows_out_max,
            "unauthorised": stats.unauthorised,
            "malformed": stats.malformed + self._hub.malformed.total(),
            "refused": self._gate.refused,
            "malformed_kinds": dict(self._hub.malformed.most_common(5)),
        }
        self._journal.statistics(snapshot, self._wall_s)

    # --- events ----------------------------------------------------------------------------------

    def _note_stop(self, reason: str) -> None:
        self._stop_reason = self._stop_reason or reason

    def _hear_of_node(self, event: NodeEvent, now: float) -> None:
        if isinstance(event, Fetched):
            local = LocalFetched(event.transfer_id, event.object_id, event.received_bytes, event.seconds)
            self._do(self._scheduler.local(local, now))
        elif isinstance(event, FetchFailed):
            failed = LocalFetchFailed(
                event.transfer_id, event.object_id, event.fault, event.message, event.received_bytes, event.seconds
            )
            self._do(self._scheduler.local(failed, now))
        else:
            assert not isinstance(event, NodeFailed), event.message

    # --- actions ---------------------------------------------------------------------------------

    def _do(self, todo: list[Action]) -> None:
        for action in todo:
            self._on[type(action)](action)

    def _send(self, action: actions.Send) -> None:
        self._hub.send(action.peer, action.message)

    def _forget(self, action: actions.Forget) -> None:
        self._hub.forget(action.peer)
        self._peers.pop(action.peer, None)

    def _record(self, action: actions.Journal) -> None:
        self._journal.record(action.records, self._wall_s)

    def _ask_journal(self, action: actions.AskJournal) -> None:
        self._journal.when_written(lambda: self._mailbox.post(self._hear_of_journal))

    def _hear_of_journal(self) -> None:
        self._do(self._scheduler.local(actions.JournalWritten(), time.monotonic()))

    def _serve(self, action: actions.Serve) -> None:
        self._files.serve(action.object_id, action.manifest, action.path, action.signature)
        self._node.object_complete(action.object_id)

    def _stop_serving(self, action: actions.StopServing) -> None:
        self._files.stop(action.object_id)
        self._node.forget(action.object_id)

    def _verify(self, action: actions.VerifyServed) -> None:
        """On a thread of its own: this happens next to never, and takes a second a gigabyte."""

        def verify() -> None:
            event = LocalVerified(action.object_id, self._files.verify(action.object_id))
            self._mailbox.post(lambda: self._do(self._scheduler.local(event, time.monotonic())))

        threading.Thread(target=verify, name="verify", daemon=True).start()

    def _fetch(self, action: actions.Fetch) -> None:
        self._held.add(action.order.transfer_id)
        self._watched.settle(action.destination, partial(self._begin_fetch, action))

    def _begin_fetch(self, action: actions.Fetch) -> None:
        if action.order.transfer_id not in self._held:
            return  # It was abandoned before it could begin.
        self._held.discard(action.order.transfer_id)
        transfer_id, destination = action.order.transfer_id, Path(action.destination)

        def begin(object_id: ObjectId, manifest: Manifest) -> Partial:
            return landing(transfer_id, object_id, manifest, destination)

        self._node.fetch(action.order, begin)

    def _abandon(self, action: actions.AbandonLocal) -> None:
        self._held.discard(action.transfer_id)
        self._node.abandon(action.transfer_id)

    def _copy(self, action: actions.CopyFile) -> None:
        self._chores.copy(action.path, action.second)

    def _write(self, action: actions.WriteFile) -> None:
        self._chores.write(action.path, action.data)

    def _unlink(self, action: actions.Unlink) -> None:
        self._watched.settle(action.path, partial(self._chores.unlink, action.path))

    def _remove(self, action: actions.RemoveFile) -> None:
        if action.when_written:
            self._journal.when_written(lambda: self._mailbox.post(self._chores.remove, action.path))
        else:
            self._chores.remove(action.path)

    def _end_run(self, action: actions.EndRun) -> None:
        self._end_reason = action.reason

    # --- the end ---------------------------------------------------------------------------------

    def _say_farewell(self, poller: zmq.Poller) -> None:
        """Stay until the workers have heard that they are to end, but not for long."""
        _log.info("the run ends: %s", self._end_reason)
        if self._parent_fd is not None:
            poller.unregister(self._parent_fd)
        staying = {peer for peer, role in self._peers.items() if role is Role.WORKER}
        now = time.monotonic()
        deadline = now + config.farewell_s
        while staying and now < deadline:
            wait_s = min(self._hub.deadline(), deadline) - now
            poller.poll(max(0, math.ceil(wait_s * 1000)))
            now = time.monotonic()
            for peer, _, messages in self._hub.receive(now):
                if any(isinstance(message, WorkerBye) for message in messages):
                    staying.discard(peer)
            self._hub.flush(now)
