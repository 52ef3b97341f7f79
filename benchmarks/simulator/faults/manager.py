"""What is a manager in a run where things break: the true scheduler, hub and journal, until it is killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from benchmarks.simulator.faults.journal import MemoryJournal
from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.store import FaultyStore
from benchmarks.simulator.faults.weather import Weather
from benchmarks.simulator.faults.wires import Router
from benchmarks.simulator.machine import Machine
from benchmarks.simulator.manager import SimulatedManager
from benchmarks.simulator.network import Port
from benchmarks.simulator.node import Addresses
from benchmarks.simulator.trace import Trace
from vine import config
from vine.names import PeerKey
from vine.scheduler import actions
from vine.scheduler.settings import Spread
from vine.wire.hub import Hub
from vine.wire.keys import KeyPair, RunKeys
from vine.wire.parts import Role
from vine.wire.sockets import Context, Socket

_NO_KEY = KeyPair(b"", b"")
_NO_KEYS = RunKeys({Role.SERVER: _NO_KEY})
_PLENTY_BYTES = 1 << 50


class _SimulatedHub(Hub):
    """A hub whose socket is given."""

    def __init__(self, router: Router, now: float) -> None:
        self._router = router
        super().__init__(cast(Context, None), _NO_KEYS, "", 0, now)

    def _bind(self, context: Context, keys: RunKeys, host: str, port: int) -> tuple[Socket, int]:
        return cast(Socket, self._router), 0


class FaultyManager(SimulatedManager):
    """One manager process. Its turns are those of the live loop."""

    def __init__(
        self,
        process: Process,
        machine: Machine,
        port: Port,
        addresses: Addresses,
        trace: Trace,
        weather: Weather,
        journal: MemoryJournal,
        on_step: Callable[[FaultyManager, list[actions.Action]], None],
    ) -> None:
        self.process = process
        self._weather = weather
        self.journal = journal
        self._on_step = on_step
        self.wall_ahead_s = 1e9  # of its wall clock, which others may set
        epoch = journal.begin(self._wall_s())
        super().__init__(machine, port, addresses, trace, Spread.FOREST, config.source_transfers_max, epoch=epoch)
        self.router = Router(process, self._soon)
        self.hub = _SimulatedHub(self.router, process.now())
        self._peers: dict[PeerKey, Role] = {}
        self._turn_comes = False

    def make_store(self, machine: Machine) -> FaultyStore:
        return FaultyStore(machine, self._weather, _PLENTY_BYTES)

    def _wall_s(self) -> float:
        return self.process.now() + self.wall_ahead_s

    # --- turns, as of `vine.manager.loop.Loop` ---

    def _soon(self) -> None:
        if not self._turn_comes:
            self._turn_comes = True
            self.process.after(0, self._turn)

    def _turn(self) -> None:
        self._turn_comes = False
        if self.end_reason is not None:
            return
        now = self.process.now()
        for peer, role, messages in self.hub.receive(now):
            if not self.hub.knows(peer):
                continue  # It was forgotten for what came before in this batch.
            self._peers.setdefault(peer, role)
            for message in messages:
                self.hear(peer, message)
        if now >= self.scheduler.next_deadline():
            self._look_at_peers(now)
            self._act(self.scheduler.tick(now))
        self.hub.flush(now)
        if self.router.inbox:
            self._soon()
        due = min(self.hub.deadline(), self.scheduler.next_deadline())
        if due < self._look_at:
            self._look_at = due
            self.process.at(due, lambda: self._look(due))

    def _look(self, due: float) -> None:
        if due == self._look_at:  # Else an earlier one was arranged instead.
            self._look_at = float("inf")
            self._turn()

    def _look_at_peers(self, now: float) -> None:
        known = self.scheduler.state
        for peer in list(self._peers):
            heard_at = self.hub.silent_since(peer)
            self.scheduler.heard(peer, heard_at)
            is_known = peer in known.worker_of or peer in known.clients or peer in known.factories
            if not is_known and now - heard_at > config.manager_lost_after_s:
                self._forget(actions.Forget(peer))

    def _act(self, todo: list[actions.Action]) -> None:
        for action in todo:
            self._do[type(action)](action)
        self._on_step(self, todo)
        self._soon()

    # --- actions ---

    def _send(self, action: actions.Send) -> None:
        self._trace.note("manager says", type(action.message).__name__, action.peer[:6])
        self.hub.send(action.peer, action.message)

    def _forget(self, action: actions.Forget) -> None:
        self.hub.forget(action.peer)
        self._peers.pop(action.peer, None)

    def _record(self, action: actions.Journal) -> None:
        self.journal.record(action.records, self._wall_s())
