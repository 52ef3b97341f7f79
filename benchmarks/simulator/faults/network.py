"""How do chunks get from one node to another, where connections break and bits flip?"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.simulator.clock import Clock, ticks
from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.store import damaged
from benchmarks.simulator.faults.weather import Weather
from benchmarks.simulator.network import Deliver, Network, Pipe, Port
from vine.transfer.edges import Parcel


class _FaultyPipe(Pipe):
    """A pipe that counts how often it was broken and made anew."""

    __slots__ = ("due", "late", "resets")

    def __init__(self, network: Network, source: Port, target: Port, deliver: Deliver) -> None:
        super().__init__(network, source, target, deliver)
        self.due = 0  # the tick at which the last item on its way will be there
        self.resets = 0
        self.late = False  # What was on its way when it broke comes all the same, after what is said by the new one.


class FaultyNetwork(Network):
    """Items are late, lost, doubled or damaged as the weather has it; what comes is a turn of a process."""

    def __init__(self, clock: Clock, latency_s: float, weather: Weather) -> None:
        super().__init__(clock, latency_s)
        self._weather = weather
        self.processes: dict[str, Process] = {}  # by the name of their port
        self.on_arrival = lambda target, item: None  # told of each item as it is taken

    def make_pipe(self, source: Port, target: Port, deliver: Deliver) -> Pipe:
        return _FaultyPipe(self, source, target, deliver)

    def reset(self, port: Port, other: str) -> None:
        """The connections of these two nodes break: what is on its way, or waits to be, is lost."""
        for pipe in [pipe for pipe in port.pipes if other in (pipe.source.name, pipe.target.name)]:
            assert isinstance(pipe, _FaultyPipe)
            pipe.resets += 1
            pipe.late = self._weather.dice.random() < 0.3
            pipe.drop_queued()
            if pipe.on_left is not None:
                pipe.on_left()

    def deliver_later(self, pipe: Pipe, item: Any) -> None:
        assert isinstance(pipe, _FaultyPipe)
        weather = self._weather
        if weather.is_closed(pipe.source.name, pipe.target.name):
            return
        if isinstance(item, Parcel) and item.payload is not None and weather.strikes(weather.rates.flipped_share):
            item = Parcel(item.header, damaged(len(item.payload)))
        due = max(pipe.due, self.clock.ticks + ticks(self.latency_s + weather.delay_s()))
        pipe.due = due
        for _ in range(2 if weather.strikes(weather.rates.doubled_share) else 1):
            self.clock.at_tick(due, partial(self._arrive, pipe, item, pipe.resets))

    def _arrive(self, pipe: _FaultyPipe, item: Any, resets: int) -> None:
        lost = pipe.resets != resets and not (pipe.late and self._weather.rates.late_share)
        if pipe.broken or lost or self._weather.is_closed(pipe.source.name, pipe.target.name):
            return
        self.processes[pipe.target.name].do(partial(pipe.deliver, item))
