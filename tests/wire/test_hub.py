"""What the manager sees of its peers: good messages of those who may speak, whatever the others do."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator

import msgpack
import pytest

from tests.wire.live import HELLOS, PATIENCE_S, Run, relay_to
from vine import config
from vine.errors import CannotBind, MalformedMessage
from vine.names import TaskId
from vine.wire.codec import encode
from vine.wire.hub import Hub
from vine.wire.messages import CancelTasks, ClientBye, RunState
from vine.wire.parts import Role
from vine.wire.session import UNKNOWN, Header, pack_header, unpack_header
from vine.wire.sockets import Socket, connect_control
from vine.wire.worker_messages import EndWorker, WorkerBye

pytestmark = pytest.mark.live


class RawPeer:
    """A peer with a role's true key that says whatever the test likes."""

    def __init__(self, run: Run, role: Role) -> None:
        self.run = run
        self.session = os.urandom(16)
        self.socket: Socket
        self.socket, self._watch = connect_control(run.outside, run.connection(role))

    def say(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def hello(self, role: Role) -> None:
        self.say(pack_header(Header(self.session, 1, 0)), encode([HELLOS[role]]))

    def hears(self) -> Header:
        end = time.monotonic() + PATIENCE_S
        while not self.socket.poll(10):
            assert time.monotonic() < end
            self.run.step()
        return unpack_header(self.socket.recv_multipart()[0])

    def close(self) -> None:
        self._watch.close()
        self.socket.close(0)


MakePeer = Callable[[Role], RawPeer]


@pytest.fixture
def raw(run: Run) -> Iterator[MakePeer]:
    peers: list[RawPeer] = []

    def make(role: Role) -> RawPeer:
        peers.append(RawPeer(run, role))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


def good_peer_is_served(run: Run) -> None:
    """The hub still works for others: a new client's hello and a message of it arrive, and an answer comes back."""
    link, peer = run.meet()
    link.send(CancelTasks((TaskId(4711),)))
    run.hub.send(peer, RunState(1, 1.0, {}, 0, 0))
    run.drive(lambda: run.at_hub[-1][2] == CancelTasks((TaskId(4711),)) and bool(run.at_link))


BAD_FRAMES: dict[str, list[bytes]] = {
    "an empty frame": [b""],
    "empty frames": [b"", b"", b""],
    "no header": [b"\xff" * 100],
    "ten thousand frames": [b"x"] * 10_000,
    "a payload without a number": [pack_header(Header(b"s" * 16, 0, 0)), b"payload"],
    "a number without a payload": [pack_header(Header(b"s" * 16, 1, 0))],
    "a first payload that is none": [pack_header(Header(b"s" * 16, 1, 0)), b"\xc1"],
    "a first payload of random bytes": [pack_header(Header(b"s" * 16, 1, 0)), bytes(range(256))],
    "a first payload of another version": [
        pack_header(Header(b"s" * 16, 1, 0)),
        msgpack.packb([["client-hello-2", 1]]),
    ],
    "a first payload of another role": [pack_header(Header(b"s" * 16, 1, 0)), encode([HELLOS[Role.WORKER]])],
    "a first payload that goes on": [pack_header(Header(b"s" * 16, 1, 0, 1)), encode([HELLOS[Role.CLIENT]])],
    "a first payload that acknowledges": [pack_header(Header(b"s" * 16, 1, 5)), encode([HELLOS[Role.CLIENT]])],
}


@pytest.mark.parametrize("frames", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_nonsense_of_a_stranger_with_a_key_is_counted_and_makes_no_session(
    run: Run, raw: MakePeer, frames: list[bytes]
) -> None:
    raw(Role.CLIENT).say(*frames)
    run.drive(lambda: sum(run.hub.malformed.values()) == 1)
    assert run.at_hub == []
    assert run.hub._peers == {}
    good_peer_is_served(run)


def test_a_frame_above_the_limit_costs_its_sender_the_connection_and_nobody_else(run: Run, raw: MakePeer) -> None:
    peer = raw(Role.CLIENT)
    peer.hello(Role.CLIENT)
    run.drive(lambda: bool(run.at_hub))
    peer.say(pack_header(Header(peer.session, 2, 0)), bytes(config.control_bytes_max + 1))
    good_peer_is_served(run)
    assert HELLOS[Role.CLIENT] in [message for _, _, message in run.at_hub]


def test_a_malformed_payload_is_dropped_and_the_session_goes_on(run: Run, raw: MakePeer) -> None:
    peer = raw(Role.WORKER)
    peer.hello(Role.WORKER)
    peer.say(pack_header(Header(peer.session, 2, 0)), encode([CancelTasks((TaskId(1),))]))
    peer.say(pack_header(Header(peer.session, 3, 0)), encode([WorkerBye("done")]))
    run.drive(lambda: len(run.at_hub) == 2)
    assert run.at_hub[1][2] == WorkerBye("done")
    assert dict(run.hub.malformed) == {"unknown kind 'cancel-tasks'": 1}


def test_another_role_cannot_speak_in_a_session(run: Run, raw: MakePeer) -> None:
    client, worker = raw(Role.CLIENT), raw(Role.WORKER)
    client.hello(Role.CLIENT)
    run.drive(lambda: len(run.at_hub) == 1)
    worker.say(pack_header(Header(client.session, 2, 0)), encode([ClientBye()]))
    run.drive(lambda: sum(run.hub.malformed.values()) == 1)
    assert list(run.hub.malformed) == ["a worker's connection in a client's session"]
    assert len(run.at_hub) == 1


def test_a_recorded_envelope_said_again_is_dropped(run: Run, raw: MakePeer) -> None:
    peer = raw(Role.CLIENT)
    peer.hello(Role.CLIENT)
    for _ in range(3):
        peer.say(pack_header(Header(peer.session, 2, 0)), encode([CancelTasks((TaskId(1),))]))
    peer.say(pack_header(Header(peer.session, 3, 0)), encode([ClientBye()]))
    run.drive(lambda: run.at_hub[-1:] != [] and run.at_hub[-1][2] == ClientBye())
    assert [message for _, _, message in run.at_hub] == [HELLOS[Role.CLIENT], CancelTasks((TaskId(1),)), ClientBye()]


def test_a_session_that_moves_to_another_connection_is_answered_there(run: Run, raw: MakePeer) -> None:
    old, new = raw(Role.CLIENT), raw(Role.CLIENT)
    old.hello(Role.CLIENT)
    run.drive(lambda: bool(run.at_hub))
    new.say(pack_header(Header(old.session, 0, 0)))
    assert new.hears().session == old.session


def test_a_connection_has_one_session_however_many_it_asks_for(run: Run, raw: MakePeer) -> None:
    peer = raw(Role.CLIENT)
    for _ in range(300):
        peer.session = os.urandom(16)
        peer.hello(Role.CLIENT)
    run.drive(lambda: run.hub.malformed["a second session on a connection"] == 299)
    assert len(run.hub._peers) == len(run.at_hub) == 1
    # One that was forgotten has left its connection to another.
    run.hub.forget(run.at_hub[0][0])
    peer.session = os.urandom(16)
    peer.hello(Role.CLIENT)
    run.drive(lambda: len(run.at_hub) == 2)
    good_peer_is_served(run)


def test_a_connection_that_another_session_has_taken_over_is_that_one_s(run: Run, raw: MakePeer) -> None:
    first, second = raw(Role.CLIENT), raw(Role.CLIENT)
    first.hello(Role.CLIENT)
    run.drive(lambda: len(run.at_hub) == 1)
    # when: its session goes on elsewhere, and its old connection opens another
    second.say(pack_header(Header(first.session, 0, 0)))
    assert second.hears().session == first.session
    first.session = os.urandom(16)
    first.hello(Role.CLIENT)
    # then
    run.drive(lambda: len(run.at_hub) == 2)
    assert len(run.hub._by_route) == 2


def test_there_are_no_more_sessions_than_there_may_be(run: Run, raw: MakePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "sessions_max", 1)
    _, peer = run.meet()
    raw(Role.CLIENT).hello(Role.CLIENT)
    run.drive(lambda: run.hub.malformed["a session more than there may be"] == 1)
    run.hub.forget(peer)
    raw(Role.CLIENT).hello(Role.CLIENT)
    run.drive(lambda: len(run.at_hub) == 2)


def test_a_session_that_is_not_known_is_told_so(run: Run, raw: MakePeer) -> None:
    peer = raw(Role.CLIENT)
    peer.say(pack_header(Header(peer.session, 7, 0)), encode([ClientBye()]))
    assert peer.hears().flags == UNKNOWN
    assert run.at_hub == []


def test_a_peer_that_has_gone_may_be_sent_to(run: Run) -> None:
    link, peer = run.meet(Role.WORKER)
    run.links.remove(link)
    link.close()
    run.hub.send(peer, EndWorker("over"))
    run.drive(lambda: run.hub._peers[peer].route is None)
    run.hub.forget(peer)
    run.hub.send(peer, EndWorker("over"))
    run.hub.forget(peer)
    good_peer_is_served(run)


def test_what_was_sent_before_a_session_ends_still_arrives(run: Run) -> None:
    link, peer = run.meet(Role.WORKER)
    run.hub.send(peer, EndWorker("over"))
    run.hub.forget(peer)
    run.drive(lambda: bool(run.at_link))
    assert run.at_link == [(link, EndWorker("over"))]


def test_what_was_received_before_a_session_ends_is_acknowledged(run: Run) -> None:
    link, peer = run.meet()
    link.send(ClientBye())
    run.drive(lambda: (peer, Role.CLIENT, ClientBye()) in run.at_hub)
    run.hub.forget(peer)
    run.drive(lambda: link.backlog_bytes == 0)
    assert run.at_hub.count((peer, Role.CLIENT, ClientBye())) == 1  # It had no reason to say it again.


def test_our_own_malformed_message_is_found_before_it_is_sent(run: Run) -> None:
    _, peer = run.meet(Role.WORKER)
    with pytest.raises(MalformedMessage, match=r"end-worker: .* at `reason`"):
        run.hub.send(peer, EndWorker("x" * 10_000))


def test_silence_counts_only_while_the_manager_itself_was_running(run: Run) -> None:
    _, peer = run.meet()
    heard = run.hub.silent_since(peer)
    run.hub.receive(heard + 1000.0)
    assert heard + 990.0 < run.hub.silent_since(peer) <= heard + 1000.0


def test_a_peer_whose_connection_is_closed_is_known_to_have_none(run: Run) -> None:
    link, peer = run.meet()
    assert run.hub.cut_since(peer) is None
    run.links.remove(link)
    link.close()
    run.meet()  # So that there is somebody to drive.
    run.drive(lambda: run.hub.cut_since(peer) is not None)
    assert run.hub.silent_since(peer) <= run.hub.cut_since(peer) <= time.monotonic()  # type: ignore[operator]


def test_a_peer_whose_connection_was_cut_has_one_again(run: Run) -> None:
    with relay_to(run.hub.port) as relay:
        _, peer = run.meet(endpoint=relay.endpoint)
        relay.cut_after(0)
        run.drive(lambda: run.hub.cut_since(peer) is not None)
        run.drive(lambda: run.hub.cut_since(peer) is None)


def test_a_peer_that_reads_nothing_is_noticed(run: Run) -> None:
    _, peer = run.meet()
    assert not run.hub.overflown(peer)
    for _ in range(5):
        run.hub._peers[peer].session.send(bytes(config.unacknowledged_bytes_max // 4))
    assert run.hub.overflown(peer)


def test_a_quiet_session_keeps_few_deadlines(run: Run) -> None:
    link, _ = run.meet()
    for number in range(300):
        link.send(CancelTasks((TaskId(number),)))
        run.step()
    run.drive(lambda: len(run.at_hub) == 301)
    assert len(run.hub._deadlines) < 50


# --- strangers -----------------------------------------------------------------------------------

GREETING = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
NULL_GREETING = GREETING.replace(b"CURVE", b"NULL\0")
STRANGERS = {
    "a web browser": b"GET / HTTP/1.1\r\nHost: manager\r\n\r\n" * 10,
    "a TLS client": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "a client without encryption": NULL_GREETING + b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER",
    "a password": GREETING.replace(b"CURVE", b"PLAIN") + b"\x04\x10\x05HELLO\x04user\x04word",
    "a frame of 2^62 bytes": GREETING + b"\x06\x40" + bytes(7),
    "a frame of 2^64-1 bytes": GREETING + b"\x06" + b"\xff" * 8,
    "random bytes for a handshake": GREETING + b"\x04\xc8" + bytes(range(200)),
    "silence": b"",
    "silence after the greeting": GREETING,
}


@pytest.mark.parametrize("said", STRANGERS.values(), ids=STRANGERS.keys())
def test_strangers_get_nowhere_and_disturb_nobody(run: Run, said: bytes) -> None:
    strangers = [socket.create_connection(("127.0.0.1", run.hub.port)) for _ in range(20)]
    for stranger in strangers:
        stranger.sendall(said)
    good_peer_is_served(run)
    assert [role for _, role, _ in run.at_hub] == [Role.CLIENT] * 2
    for stranger in strangers:
        stranger.close()


# --- binding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "remedy"),
    [
        ("192.0.2.1", "name an address of this machine"),
        ("0.0.0.0", "name the one address"),
        ("*", "name the one address"),
        ("no such host", "name"),
    ],
)
def test_an_address_that_cannot_be_bound_is_told_with_the_remedy(run: Run, host: str, remedy: str) -> None:
    with pytest.raises(CannotBind, match=remedy):
        Hub(run.context, run.keys, host, 0, 0.0)


def test_a_port_in_use_is_told_with_the_remedy(run: Run) -> None:
    with pytest.raises(CannotBind, match=f"127.0.0.1:{run.hub.port} .*another port, or 0"):
        Hub(run.context, run.keys, "127.0.0.1", run.hub.port, 0.0)
