"""Which connections does a simulated node have to others, and what waits where nobody takes it?"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.simulator.network import Pipe
from vine import config
from vine.transfer.edges import Edges, Parcel
from vine.wire.parts import Role


@dataclass(slots=True, eq=False)
class _Edge:
    pipe: Pipe
    used_at: float
    outbox: deque[Parcel] = field(default_factory=deque)
    blocked_since: float | None = None


class SimulatedEdges(Edges):
    """As `Edges` with pipes for sockets: each takes as many messages as a socket's queue holds."""

    def __init__(self, connect: Callable[[str], Pipe | None]) -> None:
        self._dial = connect
        self._open: dict[str, _Edge] = {}
        self._unknown: list[str] = []

    def open(self, endpoint: str, role: Role, now: float) -> None:
        if endpoint in self._open:
            return
        pipe = self._dial(endpoint)
        if pipe is None:
            self._unknown.append(endpoint)
            return
        edge = self._open[endpoint] = _Edge(pipe, now)
        pipe.on_left = partial(self._left, edge)

    def send(self, endpoint: str, role: Role, parcel: Parcel, now: float) -> None:
        self.open(endpoint, role, now)
        edge = self._open.get(endpoint)
        if edge is None:
            return
        edge.used_at = now
        edge.outbox.append(parcel)
        self._fill(edge)
        if edge.outbox and edge.blocked_since is None:
            edge.blocked_since = now

    def flush(self, now: float) -> None:
        """What can leave has left already."""

    def expire(self, now: float) -> list[str]:
        lost, self._unknown = self._unknown, []
        for endpoint, edge in list(self._open.items()):
            if edge.blocked_since is not None and now >= edge.blocked_since + config.edge_silence_s:
                lost.append(endpoint)
                del self._open[endpoint]
            elif not edge.outbox and now >= edge.used_at + config.edge_idle_s and not len(edge.pipe):
                del self._open[endpoint]
        return lost

    def idle_at(self) -> float:
        """When the first edge will have been idle for too long; infinite without any, and past if one is blocked."""
        edges = self._open.values()
        if self._unknown or any(edge.blocked_since is not None for edge in edges):
            return -math.inf
        return min([edge.used_at for edge in edges], default=math.inf) + config.edge_idle_s

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        self._open.clear()

    def _fill(self, edge: _Edge) -> None:
        pipe, outbox = edge.pipe, edge.outbox
        while outbox and not pipe.broken and len(pipe) < config.data_hwm_messages:
            parcel = outbox.popleft()
            wanted = parcel.wanted()
            if wanted:
                pipe.send(parcel, 0 if parcel.payload is None else len(parcel.header) + len(parcel.payload))
            parcel.left(wanted)
        if not outbox:
            edge.blocked_since = None

    def _left(self, edge: _Edge) -> None:
        """The socket has room for one more."""
        if edge.outbox:
            edge.blocked_since = None  # It moves.
            self._fill(edge)
