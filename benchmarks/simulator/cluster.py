"""What is a simulated cluster: a manager, its client and workers, each with a machine and a place in the network."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.simulator.bodies import Bodies, Body
from benchmarks.simulator.client import SimulatedClient
from benchmarks.simulator.clock import Clock
from benchmarks.simulator.control import Channel, Control
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.manager import SimulatedManager
from benchmarks.simulator.network import Network
from benchmarks.simulator.node import Addresses
from benchmarks.simulator.trace import Trace
from benchmarks.simulator.worker import Place, SimulatedWorker
from vine import config
from vine.names import ObjectId, PeerKey
from vine.scheduler.settings import Spread
from vine.wire import messages as wire
from vine.wire.codec import Decoder
from vine.wire.parts import Resources
from vine.wire.worker_messages import FromWorker, ToWorker

_from_worker: Decoder[FromWorker] = Decoder(FromWorker)
_to_worker: Decoder[ToWorker] = Decoder(ToWorker)
_from_client: Decoder[wire.FromClient] = Decoder(wire.FromClient)
_to_client: Decoder[wire.ToClient] = Decoder(wire.ToClient)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a cluster is like. Equal setups and seeds make equal runs."""

    seed: int = 0
    speeds: Speeds = field(default_factory=Speeds)
    latency_s: float = 0.002  # one way, of each message
    spread: Spread = Spread.FOREST
    transfers_max: int = config.source_transfers_max
    control: Control = field(default_factory=Control)
    tolerance: float = 1e-9  # see `Sharing`
    capacity: Resources = field(default_factory=lambda: Resources(1, 1000, 100_000, 0))
    host_start_s: float = 0.2
    heartbeat_after_s: Callable[[float], float] = lambda now: config.heartbeat_interval_s  # until a worker's next
    worker_suspected_after_s: float = config.worker_suspected_after_s
    worker_lost_after_s: float = config.worker_lost_after_s
    unpacked_bytes: Callable[[int], int] = lambda packed: 3 * packed  # what comes out of an archive of so many
    unpacks_ahead: bool = True  # archives while they arrive
    bodies: Bodies = lambda assignment: Body()
    keep_trace: bool = False


class Cluster:
    """A run in virtual time. Nothing happens but in `run`."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.clock = clock = Clock()
        self.trace = Trace(clock, keep=setup.keep_trace)
        self.dice = random.Random(setup.seed)
        self.network = Network(clock, setup.latency_s, setup.tolerance)
        self._addresses = Addresses(self.network)
        speeds = setup.speeds
        port = self.network.port("manager", speeds.up, speeds.down)
        self.manager = SimulatedManager(
            Machine(clock, speeds),
            port,
            self._addresses,
            self.trace,
            setup.spread,
            setup.transfers_max,
            worker_suspected_after_s=setup.worker_suspected_after_s,
            worker_lost_after_s=setup.worker_lost_after_s,
        )
        self.workers: dict[str, SimulatedWorker] = {}
        self.client = self._make_client()

    def _make_client(self) -> SimulatedClient:
        peer, port = PeerKey("client"), self.network.port("client", self.setup.speeds.up, self.setup.speeds.down)
        client = SimulatedClient(lambda message: to_manager.send(message))
        control, manager = self.setup.control, self.manager
        to_manager = Channel(self.network, port, manager.port, _from_client, partial(manager.hear, peer), control)
        manager.connect(peer, Channel(self.network, manager.port, port, _to_client, client.hear, control))
        client.join()
        return client

    def add_worker(self, name: str, speeds: Speeds | None = None, bodies: Bodies | None = None) -> SimulatedWorker:
        """A worker that has a node to itself; tasks can ask for it by the feature of its name.

        Both are the setup's where this node has none of its own.
        """
        setup, manager, peer = self.setup, self.manager, PeerKey(f"peer-{name}")
        machine = Machine(self.clock, speeds or setup.speeds)
        port = self.network.port(name, machine.speeds.up, machine.speeds.down)
        place = Place(
            name,
            machine,
            port,
            setup.capacity,
            (name,),
            self._archive_bytes,
            setup.host_start_s,
            setup.unpacks_ahead,
            setup.heartbeat_after_s,
        )
        worker = SimulatedWorker(
            place, self._addresses, bodies or setup.bodies, lambda message: to_manager.send(message), self.trace
        )
        to_manager = Channel(self.network, port, manager.port, _from_worker, partial(manager.hear, peer), setup.control)
        manager.connect(peer, Channel(self.network, manager.port, port, _to_worker, worker.hear, setup.control))
        self.workers[name] = worker
        worker.join(first_status_s=self.dice.random() * config.heartbeat_interval_s)
        return worker

    def kill(self, name: str) -> None:
        """The node is gone without a word."""
        self.trace.note(name, "is killed")
        place = self.workers[name].place
        place.machine.alive = False
        self.network.unplug(place.port)

    def wait_for_workers(self) -> None:
        """Until the manager knows all that were added, and the client has been welcomed."""
        known = self.manager.scheduler.state.workers
        ready = self.run(lambda: len(known) == len(self.workers) and self.client.is_welcome, 60.0)
        assert ready, "the cluster does not come up"

    def run(self, until: Callable[[], bool], seconds: float) -> bool:
        """Let things happen until this holds, or so much time has passed; returns whether it holds."""
        return self.clock.run(until, self.clock.now() + seconds)

    def _archive_bytes(self, archive: ObjectId) -> int:
        manifest = self.manager.scheduler.state.files.objects[archive].manifest
        assert manifest is not None, "what is unpacked is known"
        return self.setup.unpacked_bytes(manifest.size)
