"""One worker in a run where things break, with the test in the place of the manager."""

from __future__ import annotations

import random
from typing import TypeVar

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.faults.behaviours import FaultyBody
from benchmarks.simulator.faults.network import FaultyNetwork
from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.weather import Rates, Weather
from benchmarks.simulator.faults.worker import FaultyWorker, Home
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.node import Addresses
from benchmarks.simulator.trace import Trace
from benchmarks.simulator.worker import Place
from vine.content.manifest import object_id
from vine.names import AttemptId, ObjectId, RunId, TaskId
from vine.wire.parts import Assignment, Manifest, Resources, TaskKind
from vine.wire.worker_messages import FromWorker, RunAttempts, WorkerWelcome

Said = TypeVar("Said", bound=FromWorker)

DATA = manifest_of("data", 1000)
KEY = object_id(DATA)


class WorkerWorld:
    def __init__(
        self,
        left: list[tuple[ObjectId, Manifest]] | None = None,
        disk_bytes: int = 1 << 30,
        protected: bool = True,
        run_s: float = 1.0,
        memory_mb: float = 0.0,
        alters: bool = False,
        **rates: float,
    ) -> None:
        body = FaultyBody(run_s=run_s, memory_mb=memory_mb, alters=alters)
        self.clock = Clock()
        weather = Weather(self.clock, random.Random(1), Rates(**rates))
        network = FaultyNetwork(self.clock, 0.002, weather)
        process = Process(self.clock, 3.0)
        machine, port = Machine(process, Speeds()), network.port("w", 1e9, 1e9)
        network.processes["w"] = process
        self.said: list[FromWorker] = []
        place = Place("w", machine, port, Resources(2, 1000, 1000, 0), (), lambda key: 0, 0.0)
        self.worker = FaultyWorker(
            place, Addresses(network), lambda assignment: body, self.said.append, Trace(self.clock),
            weather, disk_bytes, left or [], Home("h", protected=protected),
        )  # fmt: skip
        self.worker.hear(WorkerWelcome(RunId("r"), 1, b"k" * 32, 3))

    def run(self, number: int, kind: TaskKind = TaskKind.COMMAND, **fields: object) -> None:
        options = {"allotment": Resources(cores=1), **fields}
        self.worker.hear(RunAttempts((Assignment(AttemptId(1, number), TaskId(number), kind, **options),)))  # type: ignore[arg-type]

    def wait(self, seconds: float = 5.0) -> None:
        self.clock.run(end_s=self.clock.now() + seconds)

    def heard(self, kind: type[Said]) -> list[Said]:
        return [message for message in self.said if isinstance(message, kind)]
