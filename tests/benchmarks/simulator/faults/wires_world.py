"""A router and dealers on simulated wires, for tests."""

from __future__ import annotations

import random

import zmq

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.weather import Rates, Weather
from benchmarks.simulator.faults.wires import Dealer, Router, Wires
from vine.wire.parts import Role


class WiresWorld:
    def __init__(self, **rates: float) -> None:
        self.clock = Clock()
        self.weather = Weather(self.clock, random.Random(1), Rates(**rates))
        self.wires = Wires(self.clock, self.weather)
        self.router = Router(Process(self.clock, 0.0), lambda: None)
        self.wires.listen(self.router)
        self.dealer = self.dial("w")

    def dial(self, name: str) -> Dealer:
        return Dealer(self.wires, name, Role.WORKER, Process(self.clock, 0.0), lambda: None)

    def wait(self, seconds: float = 1.0) -> None:
        self.clock.run(end_s=self.clock.now() + seconds)

    def heard(self) -> list[tuple[bytes, list[bytes]]]:
        """What has come to the router, and by which route."""
        taken = []
        while True:
            try:
                route = self.router.recv(zmq.DONTWAIT)
            except zmq.Again:
                return taken
            assert isinstance(route, bytes)
            taken.append((route, self.router.recv_multipart()))
