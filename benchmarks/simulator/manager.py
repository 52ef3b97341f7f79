"""How does the simulated manager run: the true scheduler, fed with what comes and obeyed in what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.simulator.control import Channel
from benchmarks.simulator.machine import Machine
from benchmarks.simulator.network import Port
from benchmarks.simulator.node import Addresses, SimulatedNode
from benchmarks.simulator.store import SimulatedStore
from benchmarks.simulator.trace import Trace
from vine import config
from vine.names import MANAGER, PeerKey, RunId
from vine.scheduler import actions
from vine.scheduler.actions import LocalFetched, LocalFetchFailed, LocalVerified
from vine.scheduler.core import Scheduler
from vine.scheduler.settings import Settings, Spread
from vine.transfer.events import Fetched, FetchFailed, NodeEvent
from vine.transfer.tokens import source_key
from vine.wire.messages import Message
from vine.wire.parts import Role


class SimulatedManager:
    """The manager of a simulated run. Its decisions take no time; what it sends and reads does."""

    def __init__(
        self,
        machine: Machine,
        port: Port,
        addresses: Addresses,
        trace: Trace,
        spread: Spread,
        transfers_max: int,
        **settings: Any,
    ) -> None:
        """`settings` are further ones of the scheduler's."""
        self._machine, self._clock, self._trace = machine, machine.clock, trace
        self.port = port
        self._store = store = self.make_store(machine)
        self.node = SimulatedNode(MANAGER, Role.SERVER, machine, port, addresses, store, self._of_node, trace)
        secret = (b"simulated %d" % settings.setdefault("epoch", 1)).ljust(32)
        self.node.set_source_key(source_key(secret, MANAGER))
        self.node.set_transfers_max(transfers_max)
        self.settings = Settings(
            run_id=RunId("simulated"),
            run_dir="/run",
            staging_dir="/run/staging",
            host_id="host-manager",
            run_secret=secret,
            requests_endpoint=self.node.requests_endpoint,
            chunks_endpoint=self.node.chunks_endpoint,
            spread=spread,
            transfers_max=transfers_max,
            **settings,
        )
        self.scheduler = Scheduler(self.settings)
        self._channels: dict[PeerKey, Channel] = {}
        self._heard_at: dict[PeerKey, float] = {}
        self._look_at = float("inf")
        self.end_reason: str | None = None
        self._do: dict[type[Any], Callable[[Any], None]] = {
            actions.Send: self._send,
            actions.Forget: self._forget,
            actions.Journal: self._record,
            actions.AskJournal: self._ask_journal,
            actions.Serve: self._serve,
            actions.StopServing: self._stop_serving,
            actions.VerifyServed: self._verify,
            actions.Fetch: self._fetch,
            actions.AbandonLocal: lambda action: self.node.abandon(action.transfer_id),
            actions.CopyFile: _nothing,
            actions.WriteFile: _nothing,
            actions.WritePart: _nothing,
            actions.Unlink: _nothing,
            actions.RemoveFile: _nothing,
            actions.EndRun: self._end_run,
        }

    def make_store(self, machine: Machine) -> SimulatedStore:
        return SimulatedStore(machine)

    def connect(self, peer: PeerKey, channel: Channel) -> None:
        """From now on this is how the peer is spoken to."""
        self._channels[peer] = channel

    def hear(self, peer: PeerKey, message: Message) -> None:
        """The peer says this."""
        self._trace.note(MANAGER, "hears", type(message).__name__, peer)
        self._heard_at[peer] = self._clock.now()
        self._act(self.scheduler.handle(peer, message, self._clock.now()))

    def stop(self, reason: str) -> None:
        """End the run."""
        self._act(self.scheduler.stop(reason, self._clock.now()))

    def _act(self, todo: list[actions.Action]) -> None:
        for action in todo:
            self._do[type(action)](action)
        due = self.scheduler.next_deadline()
        if due < self._look_at and self.end_reason is None:
            self._look_at = due
            self._clock.at(due, lambda: self._look(due))

    def _look(self, due: float) -> None:
        if due != self._look_at:
            return  # An earlier one was arranged instead.
        self._look_at = float("inf")
        if self.end_reason is None:
            now = self._clock.now()
            for client in self.scheduler.state.clients:
                self.scheduler.heard(client, now)  # Clients are always there.
            self._act(self.scheduler.tick(now))

    # --- actions ---

    def _record(self, action: actions.Journal) -> None:
        """A run that is only measured needs no memory."""

    def _send(self, action: actions.Send) -> None:
        self._trace.note(MANAGER, "says", type(action.message).__name__, action.peer)
        channel = self._channels.get(action.peer)
        if channel is not None:
            channel.send(action.message)

    def _forget(self, action: actions.Forget) -> None:
        self._channels.pop(action.peer, None)

    def _ask_journal(self, action: actions.AskJournal) -> None:
        """There is none; but those who wait for it may forget what they keep."""
        written_at = self._clock.now() + config.journal_commit_s
        event = actions.JournalWritten()
        self._clock.at(written_at, lambda: self._act(self.scheduler.local(event, self._clock.now())))

    def _serve(self, action: actions.Serve) -> None:
        self._store.put(action.object_id, action.manifest, cold=True)
        self.node.object_complete(action.object_id)

    def _stop_serving(self, action: actions.StopServing) -> None:
        self._store.remove(action.object_id)
        self.node.forget(action.object_id)

    def _verify(self, action: actions.VerifyServed) -> None:
        """Nobody changes files here; to know that takes its time."""
        manifest = self._store.manifests.get(action.object_id)
        ends_at = self._machine.hashing.take(0 if manifest is None else manifest.size, self._clock.now())
        event = LocalVerified(action.object_id, "")
        self._clock.at(ends_at, lambda: self._act(self.scheduler.local(event, self._clock.now())))

    def _fetch(self, action: actions.Fetch) -> None:
        self.node.fetch(action.order, self._store.begin_elsewhere)

    def _end_run(self, action: actions.EndRun) -> None:
        self.end_reason = action.reason

    # --- the transfer node ---

    def _of_node(self, event: NodeEvent) -> None:
        local: actions.LocalEvent
        if isinstance(event, Fetched):
            local = LocalFetched(event.transfer_id, event.object_id, event.received_bytes, event.seconds)
        else:
            assert isinstance(event, FetchFailed), event
            local = LocalFetchFailed(
                event.transfer_id, event.object_id, event.fault, event.message, event.received_bytes, event.seconds
            )
        self._clock.after(0, lambda: self._act(self.scheduler.local(local, self._clock.now())))


def _nothing(_action: object) -> None:
    """The staging folder is not simulated."""
