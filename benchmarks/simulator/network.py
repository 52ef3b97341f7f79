"""When does what one node sends arrive at another: shared links, a latency, and nodes that fall silent."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.simulator.clock import TICKS_PER_S, Clock
from benchmarks.simulator.sharing import Flow, Link, Sharing

Deliver = Callable[[Any], None]


class Port:
    """Where a node is plugged into the network: what it can send and receive at once, each way on its own."""

    __slots__ = ("alive", "down", "name", "pipes", "up")

    def __init__(self, name: str, up_bytes_per_s: float, down_bytes_per_s: float) -> None:
        self.name = name
        self.alive = True
        self.up = Link(f"{name} up", up_bytes_per_s)
        self.down = Link(f"{name} down", down_bytes_per_s)
        self.pipes: list[Pipe] = []  # from here and to here


class Pipe(Flow):
    """A connection from one node to another: what goes in comes out in order."""

    __slots__ = (
        "_due", "_event", "_left", "_network", "_queue", "_since", "broken", "deliver", "on_left", "source", "target",
    )  # fmt: skip

    def __init__(self, network: Network, source: Port, target: Port, deliver: Deliver) -> None:
        super().__init__(source.up, target.down)
        self.source, self.target = source, target
        self._network = network
        self._queue: deque[tuple[int, Any]] = deque()
        self._left = 0.0  # bytes of the first in the queue that have not left
        self._since = 0  # the tick at which that was so
        self._due = -1  # the tick at which nothing will be left, at this rate
        self._event = -1  # the tick at which we look
        self.deliver = deliver
        self.on_left: Callable[[], None] | None = None
        self.broken = False

    def __len__(self) -> int:
        """What has not left yet."""
        return len(self._queue)

    def send(self, item: Any, size: int = 0) -> None:
        """Let the item be delivered once its bytes have gone over the links; one of 0 bytes is only late."""
        assert not self.broken, "nothing can be sent through a broken connection"
        if not self._queue and not size:
            self._network.deliver_later(self, item)
            return
        self._queue.append((size, item))
        if len(self._queue) == 1:
            self._left, self._since = float(size), self._network.clock.ticks
            self._network.sharing.start(self)

    def set_rate(self, rate: float) -> None:
        now = self._network.clock.ticks
        self._left -= self.rate * (now - self._since) / TICKS_PER_S
        self._since, self.rate = now, rate
        self._expect()

    def _expect(self) -> None:
        """Look when the first in the queue will have left: an earlier look is as good."""
        if self.rate <= 0:
            self._due = -1
            return
        self._due = due = self._since + max(0, math.ceil(self._left / self.rate * TICKS_PER_S - 1e-3))
        if not self._since <= self._event <= due:
            self._event = due
            self._network.clock.at_tick(due, partial(self._look, due))

    def _look(self, due: int) -> None:
        if due != self._event:
            return  # Another look was arranged instead.
        self._event = -1
        if self._due == due and self._queue:
            self._leave()
        elif self._queue and self._due >= 0:
            self._event = self._due
            self._network.clock.at_tick(self._due, partial(self._look, self._due))

    def _leave(self) -> None:
        network, queue = self._network, self._queue
        network.deliver_later(self, queue.popleft()[1])
        while queue and not queue[0][0]:
            network.deliver_later(self, queue.popleft()[1])
        if queue:
            self._left, self._since = float(queue[0][0]), network.clock.ticks
            self._expect()
        else:
            network.sharing.stop(self)
        if self.on_left is not None:
            self.on_left()

    def cut(self) -> None:
        """One of the two ends is gone, and with it all that was under way."""
        if not self.broken:
            self.broken = True
            self.drop_queued()

    def drop_queued(self) -> None:
        """What has not left yet never will."""
        if self._queue:
            self._queue.clear()
            self._network.sharing.stop(self)


class Network:
    """A core that is never the bottleneck, and the nodes around it, each with an up and a down link of its own."""

    def __init__(self, clock: Clock, latency_s: float, tolerance: float = 1e-9) -> None:
        self.clock = clock
        self.latency_s = latency_s  # of every message, one way
        self.sharing = Sharing(tolerance)
        clock.before_advance(lambda: self.sharing.settle(_set_rate))

    def port(self, name: str, up_bytes_per_s: float, down_bytes_per_s: float) -> Port:
        return Port(name, up_bytes_per_s, down_bytes_per_s)

    def pipe(self, source: Port, target: Port, deliver: Deliver) -> Pipe:
        pipe = self.make_pipe(source, target, deliver)
        if source.alive and target.alive:
            source.pipes.append(pipe)
            target.pipes.append(pipe)
        else:
            pipe.broken = True
        return pipe

    def make_pipe(self, source: Port, target: Port, deliver: Deliver) -> Pipe:
        return Pipe(self, source, target, deliver)

    def unplug(self, port: Port) -> None:
        """The node is gone: nothing more leaves it or comes to it."""
        port.alive = False
        for pipe in port.pipes:
            pipe.cut()
        port.pipes.clear()

    def deliver_later(self, pipe: Pipe, item: Any) -> None:
        self.clock.after(self.latency_s, partial(_deliver, pipe, item))


def _deliver(pipe: Pipe, item: Any) -> None:
    if not pipe.broken:
        pipe.deliver(item)


def _set_rate(flow: Flow, rate: float) -> None:
    assert isinstance(flow, Pipe)
    flow.set_rate(rate)
