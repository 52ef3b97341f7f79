"""How does the manager talk to everyone: the listening end of all sessions, on one ROUTER."""

from __future__ import annotations

import contextlib
import heapq
from collections import Counter
from types import MappingProxyType

import zmq

from vine import config
from vine.errors import MalformedMessage
from vine.names import PeerKey
from vine.wire import alike
from vine.wire.codec import Decoder, Inbox, Outbox, count_malformed, encode_one
from vine.wire.keys import RunKeys
from vine.wire.messages import FromClient, FromFactory, Message, TasksEnded, ToClient, ToFactory
from vine.wire.parts import Role
from vine.wire.session import MORE, Header, Session, Verdict, opens_session, unknown_session, unpack_header
from vine.wire.sockets import Context, Socket, bind_control, role_of
from vine.wire.worker_messages import FromWorker, RunAttempts, ToWorker

_FROM = MappingProxyType({Role.CLIENT: FromClient, Role.WORKER: FromWorker, Role.FACTORY: FromFactory})
_TO = MappingProxyType({Role.CLIENT: ToClient, Role.WORKER: ToWorker, Role.FACTORY: ToFactory})
# What is said of each task. All that is in it has been checked as it came in, or is a number or a path of ours, and
# every one of the scheduler's tests checks it: to do so here, too, took a short call 6 % of the manager's thread.
_OF_CHECKED_PARTS = frozenset({RunAttempts, TasksEnded})

Received = tuple[PeerKey, Role, list[Message]]


class _Peer:
    """One session, and the connection by which it was heard last."""

    __slots__ = ("cut_at", "heard_at", "inbox", "key", "outbox", "role", "route", "session", "wakes_at")

    def __init__(self, session_id: bytes, role: Role, route: bytes, now: float) -> None:
        self.key = PeerKey(session_id.hex())
        self.role = role
        self.route: bytes | None = route  # None once it has turned out to be gone
        self.session = Session(session_id, now)
        self.outbox = Outbox()
        self.inbox = Inbox()
        self.heard_at = now  # in the time that we were running: see `silent_since`
        self.cut_at = now  # in the same time: when the route had turned out to be gone
        self.wakes_at = float("inf")  # its earliest entry in the heap of deadlines


class Hub:
    """All sessions of the manager, for a loop of one thread; a Gate for the context must exist.

    Wait on `socket` until `deadline()`, then `receive`, act and `send`, `flush`. A peer is known from
    its first message until `forget`. One that comes back after that is told so and opens a new session.
    """

    def __init__(self, context: Context, keys: RunKeys, host: str, port: int, now: float) -> None:
        self.socket, self.port = self._bind(context, keys, host, port)
        self.malformed: Counter[str] = Counter()  # what was dropped, by what was wrong with it
        self._peers: dict[PeerKey, _Peer] = {}
        self._sessions: dict[bytes, _Peer] = {}
        self._by_route: dict[bytes, _Peer] = {}  # whose connection it is
        self._due: dict[PeerKey, _Peer] = {}  # have something to flush
        self._deadlines: list[tuple[float, PeerKey]] = []
        self._incoming: dict[Role, Decoder[Message]] = {role: Decoder(union) for role, union in _FROM.items()}
        self._outgoing: dict[Role, Decoder[Message]] = {role: Decoder(union) for role, union in _TO.items()}
        self._received_at = now
        self._stopped_s = 0.0  # how long we were not running, in all

    def _bind(self, context: Context, keys: RunKeys, host: str, port: int) -> tuple[Socket, int]:
        return bind_control(context, keys, host, port)

    def receive(self, now: float) -> list[Received]:
        """What has arrived: by peer in order, each message once."""
        self._note_pause(now)
        received: list[Received] = []
        for _ in range(config.drain_envelopes_max):
            try:
                taken = self._take(now)
            except zmq.Again:
                break
            except MalformedMessage as malformed:
                count_malformed(self.malformed, malformed)
                continue
            if taken is not None:
                received.append(taken)
        return received

    def send(self, peer: PeerKey, message: Message) -> None:
        """Put a message behind those before; `flush` sends it. A peer that was forgotten gets nothing.

        Assignments are not the caller's any more: what they have in common is taken out of them.
        """
        record = self._peers.get(peer)
        if record is None:
            return
        if type(message) is RunAttempts:
            alike.fold(message.assignments)
        encoded = encode_one(message)
        if type(message) not in _OF_CHECKED_PARTS:
            self._outgoing[record.role].decode_one(encoded)
        record.outbox.add(encoded)
        self._due[peer] = record

    def flush(self, now: float) -> None:
        """Send what there is to send to anyone: messages, re-sends, acknowledgements, heartbeats."""
        while self._deadlines and self._deadlines[0][0] <= now:
            wakes_at, key = heapq.heappop(self._deadlines)
            record = self._peers.get(key)
            if record is not None and record.wakes_at == wakes_at:
                record.wakes_at = float("inf")
                self._due[key] = record
        due, self._due = self._due, {}
        for record in due.values():
            self._flush_peer(record, now)
            self._wake(record)

    def deadline(self) -> float:
        """When `flush` is due though nothing has arrived."""
        if self._due:
            return 0.0
        return self._deadlines[0][0] if self._deadlines else float("inf")

    def forget(self, peer: PeerKey) -> None:
        """End a session: what was sent to it may still arrive, what comes from it does not count any more."""
        record = self._peers.pop(peer, None)
        if record is not None:
            record.session.acknowledge()
            self._flush_peer(record, self._received_at)
            del self._sessions[record.session.session_id]
            self._leave(record)
            self._due.pop(peer, None)

    def knows(self, peer: PeerKey) -> bool:
        """Whether the peer's session is open: it was heard from, and not forgotten since."""
        return peer in self._peers

    def silent_since(self, peer: PeerKey) -> float:
        """When a peer was heard last; the time in which we were stopped ourselves is taken out."""
        return self._peers[peer].heard_at + self._stopped_s

    def cut_since(self, peer: PeerKey) -> float | None:
        """Since when a peer is known to have no connection; in the time of `silent_since`. None if it has one.

        libzmq forgets a route when its connection closes, so the next heartbeat finds out.
        """
        record = self._peers[peer]
        return record.cut_at + self._stopped_s if record.route is None else None

    def overflown(self, peer: PeerKey) -> bool:
        """Whether a peer has left so much unread that it must be given up."""
        return self._peers[peer].session.overflown

    def close(self, linger_s: float = 0.0) -> None:
        """Stop listening; what was flushed gets `linger_s` to go out."""
        self.socket.close(round(linger_s * 1000))

    def _note_pause(self, now: float) -> None:
        pause = now - self._received_at - 2 * config.heartbeat_interval_s
        self._received_at = now
        if pause > 0:
            self._stopped_s += pause

    def _take(self, now: float) -> Received | None:
        route = self.socket.recv(zmq.DONTWAIT)
        first = self.socket.recv(copy=False)
        rest = self.socket.recv_multipart() if first.more else []
        role = role_of(first)
        header = unpack_header(first.bytes)
        if len(rest) != header.carries_payload:
            raise MalformedMessage("wrong number of frames")
        record = self._sessions.get(header.session)
        if record is None:
            return self._meet(route, role, header, rest, now)
        if record.role is not role:
            raise MalformedMessage(f"a {role.value}'s connection in a {record.role.value}'s session")
        if record.route != route:
            self._leave(record)
            record.route, self._by_route[route] = route, record
            record.session.ask()  # The connection that it had may have taken envelopes with it.
        return self._hear(record, header, rest, now)

    def _meet(self, route: bytes, role: Role, header: Header, rest: list[bytes], now: float) -> Received | None:
        """A session that is not known: its first payload, if that is good, makes it so."""
        if not opens_session(header):
            with contextlib.suppress(zmq.ZMQError):  # Who is gone again need not know.
                self.socket.send_multipart([route, unknown_session(header)], zmq.DONTWAIT)
            return None
        if route in self._by_route:  # Nobody leaves a session that we know: it would be one of a flood.
            raise MalformedMessage("a second session on a connection")
        if len(self._peers) >= config.sessions_max:
            raise MalformedMessage("a session more than there may be")
        record = _Peer(header.session, role, route, now - self._stopped_s)
        if header.flags or record.session.receive(header, now) is not Verdict.ACCEPT:
            raise MalformedMessage("no first envelope of a session")
        messages = list(self._incoming[role].decode(rest[0]))
        self._peers[record.key] = self._sessions[header.session] = self._due[record.key] = record
        self._by_route[route] = record
        return record.key, role, messages

    def _hear(self, record: _Peer, header: Header, rest: list[bytes], now: float) -> Received | None:
        verdict = record.session.receive(header, now)
        if verdict in (Verdict.UNKNOWN, Verdict.MALFORMED):
            raise MalformedMessage("an acknowledgement of what was never sent")
        record.heard_at = now - self._stopped_s
        self._due[record.key] = record
        if verdict is not Verdict.ACCEPT:
            return None
        whole = record.inbox.add(rest[0], bool(header.flags & MORE))
        return None if whole is None else (record.key, record.role, list(self._incoming[record.role].decode(whole)))

    def _flush_peer(self, record: _Peer, now: float) -> None:
        for payload, more in record.outbox.take():
            record.session.send(payload, more)
        if record.route is None:
            return  # Until it is heard from again.
        for envelope in record.session.outgoing(now):
            frames = [record.route, envelope.header]
            if envelope.payload is not None:
                frames.append(envelope.payload)
            try:
                self.socket.send_multipart(frames, zmq.DONTWAIT)
            except zmq.Again:
                record.session.blocked(envelope, now)
                return
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                record.session.blocked(envelope, now)
                self._leave(record)
                record.cut_at = now - self._stopped_s
                return

    def _leave(self, record: _Peer) -> None:
        """Its connection is gone, or is not its own any more."""
        if record.route is not None and self._by_route.get(record.route) is record:
            del self._by_route[record.route]
        record.route = None

    def _wake(self, record: _Peer) -> None:
        """See that its next deadline has an entry in the heap; one that is too early does no harm."""
        wakes_at = record.session.next_deadline()
        if record.route is not None and wakes_at < record.wakes_at:
            record.wakes_at = wakes_at
            heapq.heappush(self._deadlines, (wakes_at, record.key))
