"""What the live tests of this room share: a manager's hub, links to it, and a relay that breaks connections."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import zmq

from vine.errors import CannotBind
from vine.names import ClientId, HostId, PeerKey, RunId, WorkerId
from vine.wire.hub import Hub
from vine.wire.keys import Connection, RunKeys, load_connection, new_run_keys, write_run_files
from vine.wire.link import Link
from vine.wire.messages import ClientHello, FactoryHello, Message, ToClient, ToFactory
from vine.wire.parts import Resources, Role
from vine.wire.sockets import Gate, make_context
from vine.wire.worker_messages import ToWorker, WorkerHello

PATIENCE_S = 20.0  # A test that takes so long has failed.

HELLOS: dict[Role, Message] = {
    Role.CLIENT: ClientHello(ClientId("c1"), HostId("h1"), "3.11"),
    Role.WORKER: WorkerHello(
        WorkerId("w1"), HostId("h1"), "host", 1, Resources(2.0), (), "3.11", "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"
    ),
    Role.FACTORY: FactoryHello("f1", "local", 0, 1, Resources(1.0)),
}
_INCOMING = {Role.CLIENT: ToClient, Role.WORKER: ToWorker, Role.FACTORY: ToFactory}


class Run:
    """A hub and the links to it, all driven by the test's own thread."""

    def __init__(self, run_dir: object) -> None:
        self.keys: RunKeys = new_run_keys()
        self.context = make_context()
        self.gate = Gate(self.context, self.keys)
        self.hub = Hub(self.context, self.keys, "127.0.0.1", 0, time.monotonic())
        self.outside = make_context()
        self.run_dir = run_dir
        write_run_files(self.keys, run_dir, RunId("r1"), f"tcp://127.0.0.1:{self.hub.port}")  # type: ignore[arg-type]
        self.links: list[Link] = []
        self.at_hub: list[tuple[PeerKey, Role, Message]] = []
        self.at_link: list[tuple[Link, Message]] = []

    def connection(self, role: Role = Role.CLIENT, endpoint: str | None = None) -> Connection:
        connection = load_connection(self.run_dir, role)  # type: ignore[arg-type]
        return replace(connection, endpoint=endpoint) if endpoint else connection

    def link(self, connection: Connection | None = None) -> Link:
        connection = connection or self.connection()
        hello = HELLOS[connection.role]
        link = Link(self.outside, connection, _INCOMING[connection.role], lambda: hello, time.monotonic())
        self.links.append(link)
        return link

    def meet(self, role: Role = Role.CLIENT, endpoint: str | None = None) -> tuple[Link, PeerKey]:
        """A link whose hello has arrived, and the hub's name for it."""
        before = len(self.at_hub)
        link = self.link(self.connection(role, endpoint))
        self.drive(lambda: len(self.at_hub) > before)
        assert self.at_hub[-1][2] == HELLOS[role]
        return link, self.at_hub[-1][0]

    def step(self) -> None:
        """One turn of all loops."""
        poller = zmq.Poller()
        poller.register(self.hub.socket, zmq.POLLIN)
        for link in self.links:
            for polled in link.sockets:
                poller.register(polled, zmq.POLLIN)
        now = time.monotonic()
        for link in self.links:
            link.flush(now)
        self.hub.flush(now)
        deadline = min(self.hub.deadline(), *(link.deadline() for link in self.links), now + 0.1)
        poller.poll(max(0.0, deadline - now) * 1000)
        now = time.monotonic()
        for peer, role, messages in self.hub.receive(now):
            self.at_hub += [(peer, role, message) for message in messages]
        for link in self.links:
            self.at_link += [(link, message) for message in link.receive(now)]
            link.check(now)

    def drive(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < end, (self.hub.malformed, [link.malformed for link in self.links])
            self.step()

    def restart_hub(self) -> None:
        """A manager with the same keys at the same address that remembers nothing."""
        port = self.hub.port
        self.hub.close()
        end = time.monotonic() + PATIENCE_S
        while True:  # libzmq closes the old listener in its own time.
            try:
                self.hub = Hub(self.context, self.keys, "127.0.0.1", port, time.monotonic())
                return
            except CannotBind:
                assert time.monotonic() < end

    def close(self) -> None:
        for link in self.links:
            link.close()
        self.hub.close()
        self.gate.close()
        self.outside.term()
        self.context.term()


class Relay:
    """A TCP relay in front of a port; it can swallow bytes and cut connections."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wake, self._waker = socket.socketpair()
        self._orders: list[int] = []
        self._lock = threading.Lock()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._swallow: dict[socket.socket, int] = {}  # bytes still to be lost before this one is cut
        self.cuts = 0
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut_after(self, lost_bytes: int) -> None:
        """From now on lose what comes; cut each connection that is there when it has lost so much."""
        with self._lock:
            self._orders.append(lost_bytes)
        self._waker.send(b"x")

    def close(self) -> None:
        self.cut_after(-1)
        self._thread.join()
        for sock in (self._listener, self._wake, self._waker):
            sock.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._wake, *self._peers], [], [])
            for sock in ready:
                if sock is self._wake:
                    if not self._obey():
                        return
                elif sock is self._listener:
                    near = self._listener.accept()[0]
                    far = socket.create_connection(("127.0.0.1", self._target))
                    self._peers[near], self._peers[far] = far, near
                elif sock in self._peers:
                    self._pass_on(sock)

    def _obey(self) -> bool:
        self._wake.recv(100)
        with self._lock:
            orders, self._orders = self._orders, []
        for lost_bytes in orders:
            for sock in list(self._peers):
                if lost_bytes <= 0:
                    self._cut(sock)
                else:
                    self._swallow[sock] = lost_bytes
        return -1 not in orders

    def _pass_on(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
            if not data:
                self._cut(sock)
            elif sock in self._swallow:
                self._swallow[sock] -= len(data)
                if self._swallow[sock] <= 0:
                    self._cut(sock)
            else:
                self._peers[sock].sendall(data)
        except OSError:
            self._cut(sock)

    def _cut(self, sock: socket.socket) -> None:
        other = self._peers.pop(sock, None)
        if other is None:
            return
        self.cuts += 1
        self._peers.pop(other, None)
        for end in (sock, other):
            self._swallow.pop(end, None)
            end.close()


@contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.close()
