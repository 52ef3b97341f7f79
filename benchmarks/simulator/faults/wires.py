"""How do envelopes get from one process to another, as ZeroMQ would bring them: in order, until a connection breaks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import zmq

from benchmarks.simulator.clock import Clock, ticks
from benchmarks.simulator.faults.process import Process
from benchmarks.simulator.faults.weather import Weather
from vine import config
from vine.names import MANAGER
from vine.wire.parts import Role

Frames = list[bytes]

_AGAIN = zmq.Again()  # One for all: each turn ends with it.
_LATENCY_S = 0.002
_SILENCE_S = config.zmq_silence_ms / 1000


class _Way:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.due = 0  # the tick at which the last one on its way will be there
        self.held: deque[Frames] = deque()  # while the way is closed


class Wire:
    """A connection of a dealer with the router, until it breaks."""

    def __init__(self, dealer: Dealer, route: bytes) -> None:
        self.dealer = dealer
        self.route = route
        self.broken = False
        self.late = False  # What was on its way to the router comes though the connection is gone: it had been read.
        self.last_words = False  # ... and so does what the manager had sent before it died.
        self.up, self.down = _Way(), _Way()


class _Frame:
    """A frame as `Hub` takes it."""

    def __init__(self, data: bytes, more: bool, role: Role) -> None:
        self.bytes = data
        self.more = more
        self._role = role

    def get(self, _name: str) -> str:
        return self._role.value


class Dealer:
    """The connecting socket of a process, and what watches its handshakes."""

    refusal = None

    def __init__(self, wires: Wires, name: str, role: Role, process: Process, on_input: Callable[[], None]) -> None:
        self.name = name
        self.role = role
        self.process = process
        self.on_input = on_input
        self.inbox: deque[Frames] = deque()
        self.unsent: deque[Frames] = deque()  # while there is no connection
        self.wire: Wire | None = None
        self.connections = 0
        self.closed = False
        self.socket = self
        self._wires = wires
        wires.connect(self)

    def recv_multipart(self, _flags: int = 0) -> Frames:
        if not self.inbox:
            raise _AGAIN.with_traceback(None)
        return self.inbox.popleft()

    def send_multipart(self, frames: Frames, _flags: int = 0) -> None:
        if self.wire is not None:
            self._wires.carry(self.wire, self.wire.up, frames)
        elif len(self.unsent) < config.control_hwm_envelopes:
            self.unsent.append(frames)
        else:
            raise zmq.Again

    def read(self) -> None:
        """As a watch of handshakes: `connections` is up to date."""

    def close(self, _linger_ms: int = 0) -> None:
        self.closed = True


class Router:
    """The listening socket of the manager."""

    def __init__(self, process: Process, on_input: Callable[[], None]) -> None:
        self.process = process
        self.on_input = on_input
        self.routes: dict[bytes, Wire] = {}
        self.inbox: deque[tuple[Wire, Frames]] = deque()
        self._role = Role.CLIENT  # of the message that is being read
        self._rest: deque[bytes] = deque()
        self._wires: Wires | None = None

    def open(self, wires: Wires) -> None:
        self._wires = wires

    def recv(self, _flags: int = 0, copy: bool = True) -> bytes | _Frame:
        if not copy:
            return _Frame(self._rest.popleft(), bool(self._rest), self._role)
        if not self.inbox:
            raise _AGAIN.with_traceback(None)
        wire, frames = self.inbox.popleft()
        self._role, self._rest = wire.dealer.role, deque(frames)
        return wire.route

    def recv_multipart(self) -> Frames:
        rest, self._rest = list(self._rest), deque()
        return rest

    def send_multipart(self, frames: Frames, _flags: int = 0) -> None:
        wire = self.routes.get(frames[0])
        if wire is None or self._wires is None:
            raise zmq.ZMQError(zmq.EHOSTUNREACH)
        self._wires.carry(wire, wire.down, frames[1:])

    def close(self, _linger_ms: int = 0) -> None:
        self.routes.clear()


class Wires:
    """All connections to the manager that is up, if one is."""

    def __init__(self, clock: Clock, weather: Weather) -> None:
        self._clock = clock
        self._weather = weather
        self._router: Router | None = None
        self._numbered = 0
        self.live: list[Wire] = []
        weather.on_opened = self._bring_held

    def listen(self, router: Router) -> None:
        """From now on this is the manager's socket."""
        self._router = router
        router.open(self)

    def connect(self, dealer: Dealer) -> None:
        """As libzmq does by itself, until it succeeds."""
        if dealer.closed or not dealer.process.alive or dealer.wire is not None:
            return
        closed = self._weather.is_closed(dealer.name, MANAGER) or self._weather.is_closed(MANAGER, dealer.name)
        if self._router is None or closed:
            wait_s = config.reconnect_max_ms / 1000 * (0.5 + self._weather.dice.random())
            self._clock.after(wait_s, partial(self.connect, dealer))
            return
        self._numbered += 1
        wire = Wire(dealer, b"route-%d" % self._numbered)
        self._router.routes[wire.route] = wire
        self.live.append(wire)
        dealer.wire = wire
        dealer.connections += 1
        while dealer.unsent:
            self.carry(wire, wire.up, dealer.unsent.popleft())
        if dealer.connections > 1:
            dealer.process.do(dealer.on_input)

    def reset(self, wire: Wire) -> None:
        """The connection breaks: what is on its way is lost. A new one is made."""
        if wire.broken:
            return
        wire.broken, wire.late = True, self._weather.dice.random() < 0.3
        self.live.remove(wire)
        if self._router is not None:
            self._router.routes.pop(wire.route, None)
        wire.dealer.wire = None
        wait_s = config.reconnect_first_ms / 1000 * (1 + self._weather.dice.random())
        self._clock.after(wait_s, partial(self.connect, wire.dealer))

    def manager_gone(self) -> None:
        self._router = None
        for wire in list(self.live):
            self.reset(wire)
            wire.late, wire.last_words = False, self._weather.dice.random() < 0.5

    def process_gone(self, dealer: Dealer) -> None:
        dealer.closed = True
        if dealer.wire is not None:
            self.reset(dealer.wire)

    # --- what is on its way ---

    def carry(self, wire: Wire, way: _Way, frames: Frames) -> None:
        if self._is_closed(wire, way) or way.held:
            if not way.held:
                self._clock.after(_SILENCE_S, lambda: self._close_if_dead(wire, way))
            way.held.append(frames)
            return
        due = max(way.due, self._clock.ticks + ticks(_LATENCY_S + self._weather.delay_s()))
        way.due = due
        times = 2 if self._weather.strikes(self._weather.rates.doubled_share) else 1
        for _ in range(times):
            self._clock.at_tick(due, lambda: self._arrive(wire, way, frames))

    def _is_closed(self, wire: Wire, way: _Way) -> bool:
        ends = (wire.dealer.name, MANAGER)
        return self._weather.is_closed(*ends if way is wire.up else ends[::-1])

    def _close_if_dead(self, wire: Wire, way: _Way) -> None:
        if way.held:
            self.reset(wire)

    def _bring_held(self) -> None:
        for wire in self.live:
            for way in (wire.up, wire.down):
                if way.held and not self._is_closed(wire, way):
                    held, way.held = way.held, deque()
                    for frames in held:
                        self.carry(wire, way, frames)

    def _arrive(self, wire: Wire, way: _Way, frames: Frames) -> None:
        if way is wire.up:
            router = self._router
            if router is not None and (not wire.broken or wire.late):
                router.inbox.append((wire, frames))
                router.process.do(router.on_input)
        elif not wire.broken or (wire.last_words and not wire.dealer.closed):
            wire.dealer.inbox.append(frames)
            wire.dealer.process.do(wire.dealer.on_input)
