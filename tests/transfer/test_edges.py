from __future__ import annotations

import errno
from collections.abc import Callable

import zmq

from vine import config
from vine.errors import MalformedMessage
from vine.transfer.edges import Edges, Parcel
from vine.wire.parts import Role

PEER = "tcp://10.0.0.1:7000"


class Socket:
    """A sending socket that takes what the test lets it."""

    def __init__(self) -> None:
        self.room = 0
        self.sent: list[list[bytes]] = []
        self.lingered: int | None = None

    def send_multipart(self, frames: list[bytes], flags: int, copy: bool) -> None:
        assert flags == zmq.DONTWAIT and not copy
        if not self.room:
            raise zmq.Again
        self.room -= 1
        self.sent.append(frames)

    def close(self, linger: int) -> None:
        self.lingered = linger


class Poller:
    def __init__(self) -> None:
        self.watched: set[Socket] = set()

    def register(self, socket: Socket, flags: int) -> None:
        self.watched.add(socket)

    def unregister(self, socket: Socket) -> None:
        self.watched.remove(socket)


class World:
    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.poller = Poller()
        self.edges = Edges(self.connect, self.poller)
        self.left: list[bytes] = []

    def connect(self, endpoint: str, role: Role) -> Socket:
        self.sockets.append(Socket())
        return self.sockets[-1]

    def send(self, header: bytes, now: float, payload: bytes | None = None) -> None:
        self.edges.send(PEER, Role.WORKER, Parcel(header, payload, left=lambda sent: self.left.append(header)), now)


def test_what_a_socket_does_not_take_waits_in_order_until_it_does() -> None:
    world = World()
    world.send(b"a", 0.0)
    world.send(b"b", 0.0, payload=b"chunk")
    world.edges.flush(0.0)
    [socket] = world.sockets
    assert (world.left, world.poller.watched) == ([], {socket})
    socket.room = 1
    world.edges.flush(1.0)
    assert (world.left, world.poller.watched) == ([b"a"], {socket})
    socket.room = 1
    world.edges.flush(2.0)
    assert socket.sent == [[b"a"], [b"b", b"chunk"]]
    assert world.poller.watched == set()


def test_a_peer_is_connected_to_before_there_is_anything_to_send_and_only_once() -> None:
    world = World()
    world.edges.open(PEER, Role.WORKER, 0.0)
    world.edges.open(PEER, Role.WORKER, 0.0)
    world.send(b"a", 1.0)
    assert len(world.sockets) == 1
    # and nothing waits there that would call for its being given up
    assert world.edges.expire(1.0) == []


def test_a_peer_that_takes_nothing_is_given_up_and_told_of() -> None:
    world = World()
    world.send(b"a", 0.0)
    world.edges.flush(0.0)
    assert world.edges.expire(config.edge_silence_s - 0.1) == []
    assert world.edges.expire(config.edge_silence_s) == [PEER]
    assert (len(world.edges), world.poller.watched, world.sockets[0].lingered) == (0, set(), 0)
    world.edges.flush(config.edge_silence_s)  # nothing of it is left to be sent


def test_a_peer_that_takes_a_little_now_and_then_is_not_given_up() -> None:
    world = World()
    for header in (b"a", b"b", b"c"):
        world.send(header, 0.0)
    world.edges.flush(0.0)
    for turn in (1, 2):
        world.sockets[0].room = 1
        now = turn * (config.edge_silence_s - 1.0)
        world.edges.flush(now)
        assert world.edges.expire(now) == []


def test_an_idle_socket_is_closed_and_opened_again_when_needed() -> None:
    world = World()
    world.send(b"a", 0.0)
    world.sockets[0].room = 9
    world.edges.flush(0.0)
    assert world.edges.expire(config.edge_idle_s - 0.1) == []
    assert len(world.edges) == 1
    assert world.edges.expire(config.edge_idle_s) == []
    assert len(world.edges) == 0
    assert world.sockets[0].lingered == config.edge_linger_ms
    world.send(b"b", 20.0)
    assert len(world.sockets) == 2


def test_an_address_that_no_socket_can_be_made_for_is_told_of() -> None:
    def refuse(endpoint: str, role: Role) -> Socket:
        raise zmq.ZMQError(errno.EINVAL)

    def no_node(endpoint: str, role: Role) -> Socket:
        raise MalformedMessage("no node")

    failing: list[Callable[[str, Role], Socket]] = [refuse, no_node]
    for connect in failing:
        edges = Edges(connect, Poller())
        edges.send(PEER, Role.WORKER, Parcel(b"a"), 0.0)
        assert edges.expire(0.0) == [PEER]
        assert edges.expire(0.0) == []
