"""Which processes does a run have, how do they start, end and come back?"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults import mirror
from benchmarks.simulator.faults.asking import SOME, Asking, Premises
from benchmarks.simulator.faults.behaviours import Behaviours
from benchmarks.simulator.faults.client import FaultyClient
from benchmarks.simulator.faults.factory import FaultyFactory
from benchmarks.simulator.faults.journal import MemoryJournal, Staging
from benchmarks.simulator.faults.line import Line
from benchmarks.simulator.faults.manager import FaultyManager
from benchmarks.simulator.faults.network import FaultyNetwork
from benchmarks.simulator.faults.oracle import Ledger, Oracle, check_node
from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.store import FaultyStore
from benchmarks.simulator.faults.weather import Weather, rates_of
from benchmarks.simulator.faults.wires import Wires
from benchmarks.simulator.faults.worker import FaultyWorker, Home
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.node import Addresses
from benchmarks.simulator.trace import Trace
from benchmarks.simulator.worker import Place
from vine import config
from vine.names import MANAGER, ObjectId
from vine.scheduler import actions
from vine.wire import messages as wire
from vine.wire.parts import Manifest, Resources, Role
from vine.wire.worker_messages import ToWorker, WorkerBye
from vine_factory.policy import FleetLimits

_LATENCY_S = 0.002
_SPEEDS = Speeds(up=50e6, down=50e6, hashing=500e6, disk=500e6)
_WITH_FACTORY = 0.3  # The share of runs whose workers come and go as a factory has it.
_FAREWELL_S = 0.1  # A worker that leaves in order stays so long, that its word goes out.
_IDLE_S = 5.0  # ... and how long these may idle.
_SLOW = 8  # A slow node is so many times slower.
_LEASE_S = 100.0  # Of workers: some of the partitions last longer.
_LIVES_S = (5.0, 15.0, 60.0)  # Of workers whose batch system ends them.
_EPOCH_S = 1e9  # By the wall clock, when the run begins.


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run may be."""

    workers_max: int
    tasks_max: int


QUICK = Size(20, 100)
SIZES = (QUICK, Size(60, 400), Size(150, 1000))


@dataclass(slots=True)
class _WorkerProcess:
    worker: FaultyWorker
    process: Process
    line: Line
    home: Home


class FaultyCluster:
    """A manager, its workers and one client at a time. Nothing happens but as the clock runs."""

    def __init__(self, seed: int, size: Size, keep_trace: bool) -> None:
        self.dice = dice = random.Random(seed)
        self.clock = Clock()
        self.trace = Trace(self.clock, keep=keep_trace)
        self.weather = Weather(self.clock, random.Random(dice.random()), rates_of(dice))
        self.network = FaultyNetwork(self.clock, _LATENCY_S, self.weather)
        self._addresses = Addresses(self.network)
        self.wires = Wires(self.clock, self.weather)
        self.written = Ledger()  # what is in the journal
        self.journal = MemoryJournal(self.written.note)
        self.staging = Staging()
        self.wall_ahead_s = _EPOCH_S  # of the wall clock, which others may set
        self.behaviours = Behaviours(self.weather)
        self.workers_n = int(size.workers_max ** dice.random() + 0.5)
        self.tasks_n = max(1, int(size.tasks_max ** (0.5 + 0.5 * dice.random())))
        self.worker_cores = dice.choice([1, 1, 2, 4])
        self.workers_a_host = dice.choice([1, 1, 1, 2, 3])
        self._protected = dice.random() < 0.7  # whether bodies cannot write into their inputs
        disk_mib = dice.choice([8, 16, 64, 256])  # Some tasks do not fit onto the small ones.
        self._disk_bytes = max(disk_mib, 256 * self.weather.is_calm) << 20
        self.capacity = Resources(float(self.worker_cores), 1000.0, 100_000.0, dice.choice([0.0, 0.0, 1.0, 2.0]))
        self.steps = 0
        self.manager: FaultyManager | None = None
        self.oracle = Oracle(self.written)
        self.workers: dict[str, _WorkerProcess] = {}
        self.client: FaultyClient | None = None
        self._client_line: Line | None = None
        self.client_process = Process(self.clock, 0.0)
        self._clients = 0
        self.lost_tasks = self.managers_lost = 0
        self.has_factory = dice.random() < _WITH_FACTORY
        self.jobs_outlive_factories = dice.random() < 0.5  # as those of a batch system
        self.factory: FaultyFactory | None = None
        self._factory_line: Line | None = None
        self._factories = 0
        self.asking = Asking(dice, self._premises())
        self.on_client: Callable[[FaultyClient], None] = lambda client: None

    def _premises(self) -> Premises:
        wall_is_true = self.weather.rates.clock_jumps == 0
        return Premises(
            self.capacity, self.workers_n, tuple(map(self._host_of, ("w0", "w1", "w4"))), not self.has_factory,
            self._wall_s if wall_is_true else None,
        )  # fmt: skip

    def _host_of(self, name: str) -> str:
        return f"h{_number_of(name) // self.workers_a_host}"

    # --- the manager ---

    def start_manager(self) -> None:
        process = Process(self.clock, self.dice.random() * 1000)
        port = self.network.port(MANAGER, _SPEEDS.up, _SPEEDS.down)
        self.network.processes[MANAGER] = process
        machine = Machine(process, _SPEEDS)
        self.manager = manager = FaultyManager(
            process, machine, port, self._addresses, self.trace, self.weather, self.journal, self.staging,
            self._wall_s, _LEASE_S, self._step,
        )  # fmt: skip
        manager.on_death = self.crash_manager
        self.written.begin(manager.settings.epoch)
        self.oracle = Oracle(copy.deepcopy(self.written))
        self.wires.listen(manager.router)
        manager.begin()

    def _wall_s(self) -> float:
        return self.clock.now() + self.wall_ahead_s

    def crash_manager(self) -> None:
        """It is killed; what its journal says is what it knew. Another one goes on with that in a moment."""
        manager = self.manager
        if manager is None:
            return
        self.trace.note("the manager is killed")
        self.managers_lost += 1
        self.compare_journal()
        self.journal.commit(self.dice.randint(0, self.journal.waiting))
        check_node(manager.node, config.manager_small_transfers)
        manager.process.kill()
        self.network.unplug(manager.port)
        self.manager = None
        self.wires.manager_gone()
        self.clock.after(0.2 + self.dice.random() * 5, self.start_manager)

    def compare_journal(self) -> None:
        """AssertionError where a manager that is started now would know other things than the one that lives."""
        assert self.manager is not None
        mirror.compare(self.manager.scheduler.state, self.journal.would_be(), self.staging.paths)

    def _step(self, manager: FaultyManager, done: list[actions.Action]) -> None:
        self.steps += 1
        self.oracle.look(manager.scheduler.state, done)

    # --- workers and the factory ---

    def start_fleet(self) -> None:
        """Either so many workers, each of which comes back when it has ended, or a factory that has as many at most."""
        if self.has_factory:
            self.start_factory()
            return
        for number in range(self.workers_n):
            self.clock.after(self.dice.random(), partial(self.start_worker, f"w{number}"))

    def start_factory(self) -> None:
        self._factories += 1
        name, process = f"factory-{self._factories}", Process(self.clock, self.dice.random() * 1000)
        limits = FleetLimits(self.dice.randint(0, 1), self.workers_n, self.capacity, _IDLE_S)
        factory = FaultyFactory(name, process, limits, self.start_worker, self.release_worker)
        line = Line(
            self.wires, "factory", Role.FACTORY, process, self.dice, wire.ToFactory, factory.hello,
            lambda message: factory.hear(message),  # type: ignore[arg-type] # the link admits no others
            lambda error: self.end_factory(str(error)),
        )  # fmt: skip
        factory.say = line.send
        factory.fleet.update(self.workers)
        self.factory, self._factory_line = factory, line
        factory.begin()

    def end_factory(self, reason: str) -> None:
        """It is gone, and its workers with it if a local launcher has started them. It is started again."""
        factory, line = self.factory, self._factory_line
        if factory is None or line is None:
            return
        self.trace.note(factory.name, "ends:", reason)
        self.factory = None
        line.close()
        factory.process.kill()
        self.wires.process_gone(line.dealer)
        for name in [] if self.jobs_outlive_factories else sorted(factory.fleet & self.workers.keys()):
            self.end_worker(name, "the factory is gone")
        self.clock.after(0.5 + self.dice.random() * 5, self.start_factory)

    def start_worker(self, name: str, left: list[tuple[ObjectId, Manifest]] | None = None) -> None:
        if name in self.workers or (self.has_factory and not (self.factory and name in self.factory.fleet)):
            return  # It is there, or was let go before it had begun.
        process = Process(self.clock, self.dice.random() * 1000)
        speeds = _SPEEDS.slower(_SLOW) if self.dice.random() < 0.1 else _SPEEDS
        machine = Machine(process, speeds)
        port = self.network.port(name, speeds.up, speeds.down)
        self.network.processes[name] = process
        features = () if self.has_factory or _number_of(name) % 2 else (SOME,)
        place = Place(name, machine, port, self.capacity, features, lambda archive: 0, 0.0)
        short = self.weather.strikes(self.weather.rates.short_life_share)
        home = Home(self._host_of(name), self.dice.choice(_LIVES_S) if short else None, self._protected)
        worker = FaultyWorker(
            place, self._addresses, self.behaviours.body, lambda message: line.send(message), self.trace,
            self.weather, self._disk_bytes, left or [], home,
        )  # fmt: skip
        line = Line(
            self.wires, name, Role.WORKER, process, self.dice, ToWorker, worker.hello,
            lambda message: worker.hear(message),  # type: ignore[arg-type] # the link admits no others
            lambda error: self.end_worker(name, str(error)), _LEASE_S,
        )  # fmt: skip
        self.workers[name] = there = _WorkerProcess(worker, process, line, home)
        worker.store.mates = lambda: self._stores_beside(there)
        if home.lives_s is not None:
            self.clock.after(home.lives_s, lambda: self._life_is_over(there))
        worker.on_end = partial(self._leave, there)
        worker.tell_status_after(self.dice.random() * config.heartbeat_interval_s)

    def _stores_beside(self, there: _WorkerProcess) -> list[FaultyStore]:
        mates = [mate for mate in self.workers.values() if mate.home.host == there.home.host and mate is not there]
        return [mate.worker.store for mate in mates]

    def _life_is_over(self, there: _WorkerProcess) -> None:
        if there.process.alive:
            self.end_worker(there.worker.place.name, "its wall time is over")

    def end_short_lives(self) -> None:
        """From now on workers live as long as they like."""
        for there in [there for there in self.workers.values() if there.home.lives_s is not None]:
            self._life_is_over(there)

    def release_worker(self, name: str, reason: str) -> None:
        """It is asked to end, and says goodbye."""
        leaving = self.workers.get(name)
        if leaving is not None and not leaving.worker.ended:
            leaving.worker.ended = True
            leaving.line.send(WorkerBye(reason))
            self._leave(leaving, reason)
        elif leaving is None:
            self.end_worker(name, reason)

    def _leave(self, leaving: _WorkerProcess, reason: str) -> None:
        """It has said goodbye, and hears nothing more."""
        leaving.line.close()
        leaving.process.after(_FAREWELL_S, partial(self.end_worker, leaving.worker.place.name, reason))

    def end_worker(self, name: str, reason: str) -> None:
        """It leaves, or is killed; after a while another one starts there, and finds what was to stay."""
        gone = self.workers.pop(name, None)
        if gone is None:
            if self.factory is not None and name in self.factory.fleet:  # It was launched, and had not begun.
                self.factory.ended(name)
            return
        self.trace.note(name, "ends:", reason)
        check_node(gone.worker.node)
        gone.worker.ended = True
        gone.line.close()
        gone.process.kill()
        self.network.unplug(gone.worker.place.port)
        self.wires.process_gone(gone.line.dealer)
        store = gone.worker.store
        left = [(key, manifest) for key, manifest in store.manifests.items() if key in store.forever - store.rotten]
        if self.factory is not None and name in self.factory.fleet:
            self.factory.process.do(partial(self.factory.ended, name))
        elif not self.has_factory:
            self.clock.after(0.5 + self.dice.random() * 10, lambda: self.start_worker(name, left))

    # --- the client ---

    def start_client(self) -> None:
        self._clients += 1
        self.client_process = process = Process(self.clock, self.dice.random() * 1000)
        client = FaultyClient(
            f"client-{self._clients}", lambda message, again: line.send_kept(message, again), self.staging
        )

        def hear(message: wire.Message) -> None:
            if isinstance(message, wire.Journaled):
                line.link.journaled(message.messages)
                return
            was_welcome = client.epoch > 0
            client.hear(message)  # type: ignore[arg-type] # as above
            if isinstance(message, wire.ClientWelcome) and was_welcome:
                for again in client.reopened():
                    line.send_kept(again, again=False)

        line = Line(
            self.wires, "client", Role.CLIENT, process, self.dice, wire.ToClient, client.hello, hear,
            lambda error: self.end_client(str(error)),
        )  # fmt: skip
        self.client, self._client_line = client, line
        self.on_client(client)

    def end_client(self, reason: str) -> None:
        """The program is gone, or has lost its manager: all that it waits for is lost to it. It is started again."""
        if self.client is None or self._client_line is None:
            return
        self.trace.note("the client ends:", reason)
        self.lost_tasks += len(self.client.open)
        self.client = None
        self._client_line.close()
        self.client_process.kill()
        self.wires.process_gone(self._client_line.dealer)
        self.clock.after(0.2 + self.dice.random(), self.start_client)

    def leave(self, for_good: bool = False) -> None:
        """The client says goodbye, and is gone; unless it is for good, another one comes soon."""
        client, line = self.client, self._client_line
        if client is None or line is None:
            return
        self.client = None
        line.send(wire.ClientBye())
        line.close()
        self.client_process.after(_FAREWELL_S, lambda: self.wires.process_gone(line.dealer))
        if not for_good:
            self.clock.after(0.2 + self.dice.random(), self.start_client)


def _number_of(worker: str) -> int:
    """`w7` and `factory-2-7` are each the seventh one."""
    return int(worker.removeprefix("w").rpartition("-")[2])
