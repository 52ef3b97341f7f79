"""What is a manager in a run where things break: the true scheduler, hub and journal, until it is killed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from benchmarks.simulator.faults.journal import MemoryJournal, Staging
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
from vine.names import PeerKey, TransferId
from vine.scheduler import actions
from vine.scheduler.settings import Spread
from vine.transfer.events import Fetched, NodeEvent
from vine.wire.hub import Hub
from vine.wire.keys import KeyPair, RunKeys
from vine.wire.parts import Role
from vine.wire.sockets import Context, Socket

_NO_KEY = KeyPair(b"", b"")
_NO_KEYS = RunKeys({Role.SERVER: _NO_KEY})
_PLENTY_BYTES = 1 << 50
_SLOW_COMMIT_S = 3.0  # A commit that is late is late by up to so much.


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
        staging: Staging,
        wall_s: Callable[[], float],
        lease_s: float,
        on_step: Callable[[FaultyManager, list[actions.Action]], None],
    ) -> None:
        """It takes up the run of the journal when it is told to `begin`. `wall_s` is the wall clock."""
        self.process = process
        self._weather = weather
        self.journal = journal
        self._staging = staging
        self._wall_s = wall_s
        self._on_step = on_step
        self._past = None if journal.is_new else journal.replay()
        super().__init__(
            machine, port, addresses, trace, Spread.FOREST, config.source_transfers_max,
            epoch=journal.begin(wall_s()), lease_s=lease_s, wall_clock_ahead_s=wall_s() - process.now(),
        )  # fmt: skip
        self.router = Router(process, self._soon)
        self.hub = _SimulatedHub(self.router, process.now())
        self._peers: dict[PeerKey, Role] = {}
        self._turn_comes = False
        self._commit_comes = False
        self._destinations: dict[TransferId, str] = {}
        self.dies_after: int | None = None  # so many more messages, and before it has said anything
        self.on_death: Callable[[], None] = lambda: None
        self._do |= {
            actions.CopyFile: lambda action: staging.copy(action.path, action.second),
            actions.WriteFile: lambda action: staging.put(action.path),
            actions.WritePart: lambda action: staging.write_part(action.path, action.offset, len(action.data)),
            actions.RemoveFile: self._remove,
        }

    def begin(self) -> None:
        """Take up the run, if there was one before."""
        if self._past is not None:
            now = self.process.now()
            self._act(self.scheduler.restore(self._past, frozenset(self._staging.paths), now))
            self._past = None

    def make_store(self, machine: Machine) -> FaultyStore:
        return FaultyStore(machine, self._weather, _PLENTY_BYTES)

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
                if self._dies():
                    return
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

    def _dies(self) -> bool:
        if self.dies_after is None:
            return False
        self.dies_after -= 1
        if self.dies_after <= 0 and self.process.alive:
            self.on_death()
        return not self.process.alive

    def _look(self, due: float) -> None:
        if due == self._look_at:  # Else an earlier one was arranged instead.
            self._look_at = float("inf")
            self._turn()

    def _look_at_peers(self, now: float) -> None:
        known = self.scheduler.state
        for peer in list(self._peers):
            heard_at = self.hub.silent_since(peer)
            self.scheduler.heard(peer, heard_at, self.hub.cut_since(peer))
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
        self._commit_soon()

    def _commit_soon(self) -> None:
        """As the journal's thread: what comes meanwhile goes into the same commit. Some disks are slow at times."""
        if not self._commit_comes:
            self._commit_comes = True
            slow = self._weather.strikes(self._weather.rates.slow_commit_share)
            self.process.after(
                config.journal_commit_s + self._weather.dice.random() * _SLOW_COMMIT_S * slow, self._commit
            )

    def _commit(self) -> None:
        self._commit_comes = False
        self.journal.commit(at_s=self._wall_s())

    def _ask_journal(self, action: actions.AskJournal) -> None:
        self._when_written(lambda: self._act(self.scheduler.local(actions.JournalWritten(), self.process.now())))

    def _when_written(self, call: Callable[[], None]) -> None:
        self.journal.when_written(lambda: self.process.after(0, call))
        self._commit_soon()

    def _remove(self, action: actions.RemoveFile) -> None:
        if action.when_written:
            self._when_written(partial(self._staging.remove, action.path))
        else:
            self._staging.remove(action.path)

    def _fetch(self, action: actions.Fetch) -> None:
        self._destinations[action.order.transfer_id] = action.destination
        super()._fetch(action)

    def _of_node(self, event: NodeEvent) -> None:
        if isinstance(event, Fetched):
            self._staging.put(self._destinations[event.transfer_id])
        super()._of_node(event)
