"""Which sending sockets does a node have, what waits to leave through each, and which lead nowhere?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from vine import config
from vine.errors import MalformedMessage
from vine.transfer.objects import Buffer
from vine.wire.parts import Role
from vine.wire.sockets import Socket


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message to a peer, dropped if it is not `wanted` when its turn comes; `left` is told whether it was sent."""

    header: bytes
    payload: Buffer | None = None
    wanted: Callable[[], bool] = lambda: True
    left: Callable[[bool], None] = lambda sent: None


@dataclass(slots=True)
class _Edge:
    socket: Socket
    used_at: float
    outbox: deque[Parcel] = field(default_factory=deque)
    blocked_since: float | None = None


class Edges:
    """One PUSH socket a peer, opened when needed, closed when idle, given up when nobody takes what it has.

    A socket takes nothing before it is connected, so what is sent to nobody stays here and is seen.
    """

    def __init__(self, connect: Callable[[str, Role], Socket], poller: zmq.Poller) -> None:
        self._connect = connect
        self._poller = poller
        self._edges: dict[str, _Edge] = {}
        self._waiting: dict[str, _Edge] = {}  # those with something in the outbox
        self._lost: list[str] = []

    def open(self, endpoint: str, role: Role, now: float) -> None:
        """Something will be sent there soon: connecting takes several round trips, on a link that may be full then."""
        if endpoint not in self._edges:
            try:
                self._edges[endpoint] = _Edge(self._connect(endpoint, role), now)
            except (MalformedMessage, zmq.ZMQError):  # It is no address of a node, or no socket is to be had.
                self._lost.append(endpoint)

    def send(self, endpoint: str, role: Role, parcel: Parcel, now: float) -> None:
        self.open(endpoint, role, now)
        edge = self._edges.get(endpoint)
        if edge is not None:
            edge.outbox.append(parcel)
            self._waiting[endpoint] = edge

    def flush(self, now: float) -> None:
        """Give the sockets what they take."""
        for endpoint, edge in list(self._waiting.items()):
            if self._drain(edge, now):
                del self._waiting[endpoint]
                if edge.blocked_since is not None:
                    self._poller.unregister(edge.socket)
                    edge.blocked_since = None
            elif edge.blocked_since is None:
                self._poller.register(edge.socket, zmq.POLLOUT)
                edge.blocked_since = now

    def expire(self, now: float) -> list[str]:
        """Close what is idle; give up, and tell, what has been blocked for too long."""
        lost, self._lost = self._lost, []
        for endpoint, edge in list(self._edges.items()):
            if edge.blocked_since is not None and now >= edge.blocked_since + config.edge_silence_s:
                lost.append(endpoint)
                self._close(endpoint, linger_ms=0)
            elif not edge.outbox and now >= edge.used_at + config.edge_idle_s:
                self._close(endpoint, linger_ms=config.edge_linger_ms)
        return lost

    def __len__(self) -> int:
        return len(self._edges)

    def close(self) -> None:
        for endpoint in list(self._edges):
            self._close(endpoint, linger_ms=config.edge_linger_ms)

    def _drain(self, edge: _Edge, now: float) -> bool:
        while edge.outbox:
            parcel = edge.outbox[0]
            if not parcel.wanted():
                edge.outbox.popleft()
                parcel.left(False)
                continue
            frames = [parcel.header] if parcel.payload is None else [parcel.header, parcel.payload]
            try:
                edge.socket.send_multipart(frames, zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return False
            edge.outbox.popleft()
            edge.used_at = now
            if edge.blocked_since is not None:
                edge.blocked_since = now  # It moves, if slowly.
            parcel.left(True)
        return True

    def _close(self, endpoint: str, linger_ms: int) -> None:
        edge = self._edges.pop(endpoint)
        self._waiting.pop(endpoint, None)
        if edge.blocked_since is not None:
            self._poller.unregister(edge.socket)
        edge.socket.close(linger=linger_ms)
