"""How does a client, worker or factory talk to the manager: the connecting end of a session."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import zmq

from vine import config
from vine.errors import ConnectionRefused, MalformedMessage, ManagerLost
from vine.wire import alike
from vine.wire.codec import Decoder, Inbox, Outbox, count_malformed, encode_one
from vine.wire.keys import Connection
from vine.wire.messages import FromClient, FromFactory, Message, Refused
from vine.wire.parts import Role
from vine.wire.session import MORE, SESSION_BYTES, Header, Session, Verdict, unpack_header
from vine.wire.sockets import Context, HandshakeWatch, Socket, connect_control
from vine.wire.worker_messages import FromWorker, RunAttempts

_OUTGOING = MappingProxyType({Role.CLIENT: FromClient, Role.WORKER: FromWorker, Role.FACTORY: FromFactory})


class Link:
    """A session with the manager, for a loop of one thread.

    Wait on `sockets` until `deadline()`, then `receive`, act and `send`, `flush`, `check`. The hello is
    sent by the link itself, and again whenever the manager does not know the session any more: it
    welcomes us anew then. Of the old session only what is `kept` is carried over: what may not be in
    the manager's journal yet is said again behind the hello.
    """

    def __init__(
        self,
        context: Context,
        connection: Connection,
        incoming_union: Any,
        hello: Callable[[], Message],
        now: float,
        lost_after_s: float | None = None,
    ) -> None:
        """`lost_after_s` is how long the manager may be silent; None: as long as for clients."""
        self.connection = connection
        self._lost_after_s = config.manager_lost_after_s if lost_after_s is None else lost_after_s
        self._kept: deque[bytes | None] = deque()  # None stands for what is not to be said again
        self._journaled = 0  # messages of this session that were kept, and are not any more
        self.malformed: Counter[str] = Counter()  # what was dropped, by what was wrong with it
        self.welcomed = False  # the manager has said something to us
        self._hello = hello
        self._incoming: Decoder[Message] = Decoder(incoming_union)
        self._outgoing: Decoder[Message] = Decoder(_OUTGOING[connection.role])
        self._refused: str | None = None
        self._silent_s = 0.0  # how long the manager was silent while we were running
        self._started_at = self._checked_at = now
        self._connections = 0
        self._open(now)
        self.socket, self._watch = self._connect(context, connection)

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], ...]:
        """To be polled for input; with `socket` alone a reconnect is noticed at the next deadline."""
        return self.socket, self._watch.socket

    @property
    def backlog_bytes(self) -> int:
        """What the manager has not acknowledged yet."""
        return self._session.kept_bytes

    def send(self, message: Message) -> None:
        """Put a message behind those before; `flush` sends it. MalformedMessage if the manager would not admit it."""
        self._send(message)

    def send_kept(self, message: Message, again: bool = True) -> None:
        """As `send`, and keep it until it is `journaled`; what is not to be said `again` is counted all the same."""
        encoded = self._send(message)
        self._kept.append(encoded if again else None)

    def journaled(self, messages: int) -> None:
        """The first so many messages that were kept in this session need not be said again."""
        while self._journaled < messages and self._kept:
            self._kept.popleft()
            self._journaled += 1

    def _send(self, message: Message) -> bytes:
        encoded = encode_one(message)
        self._outgoing.decode_one(encoded)
        self._outbox.add(encoded)
        return encoded

    def receive(self, now: float) -> list[Message]:
        """What has arrived, in order, each message once."""
        received: list[Message] = []
        for _ in range(config.drain_envelopes_max):
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            self._silent_s = 0.0
            try:
                received.extend(self._take(frames, now))
            except MalformedMessage as malformed:
                count_malformed(self.malformed, malformed)
        return received

    def flush(self, now: float) -> None:
        """Send what there is to send: messages, re-sends, acknowledgements, heartbeats."""
        for payload, more in self._outbox.take():
            self._session.send(payload, more)
        for envelope in self._session.outgoing(now):
            frames = [envelope.header] if envelope.payload is None else [envelope.header, envelope.payload]
            try:
                self.socket.send_multipart(frames, zmq.DONTWAIT)
            except zmq.Again:
                self._session.blocked(envelope, now)
                break

    def deadline(self) -> float:
        """When `flush` and `check` are due though nothing has arrived."""
        due = self._session.next_deadline()
        return due if self.welcomed else min(due, self._checked_at + config.handshake_check_s)

    def check(self, now: float) -> None:
        """Raise ConnectionRefused or ManagerLost if there is no hope left."""
        self._watch.read()
        if self._watch.connections > self._connections:
            if self._connections:
                self._session.ask()  # The old connection may have taken envelopes with it.
            self._connections = self._watch.connections
        # Time in which we were stopped ourselves (a suspended laptop, SIGSTOP) is no silence of the manager's.
        self._silent_s += min(now - self._checked_at, 2 * config.heartbeat_interval_s)
        self._checked_at = now
        endpoint = self.connection.endpoint
        if self._refused is not None:
            raise ConnectionRefused(f"the manager at {endpoint} refused us: {self._refused}")
        if self._watch.refusal is not None:
            raise ConnectionRefused(
                f"the manager at {endpoint} refused the connection: {self._watch.refusal}; "
                "use the connection file that the running manager has written"
            )
        if not self.welcomed and now - self._started_at > config.connect_timeout_s:
            raise ManagerLost(
                f"no manager answered at {endpoint} within {config.connect_timeout_s:g} s: "
                "check that it runs and that its address can be reached from here"
            )
        if self._silent_s > self._lost_after_s:
            raise ManagerLost(
                f"the manager at {endpoint} has been silent for {self._lost_after_s:g} s: look at its log, "
                "and let the run go on with `vine-manager --run-dir` in time, or start it again"
            )
        if self._session.overflown:
            raise ManagerLost(
                f"the manager at {endpoint} has left {self._session.kept_bytes >> 20} MiB unread: "
                "look at its log, and start the run again"
            )

    def close(self, linger_s: float = 0.0) -> None:
        """Leave; what was flushed gets `linger_s` to go out."""
        self._watch.close()
        self.socket.close(round(linger_s * 1000))

    def _connect(self, context: Context, connection: Connection) -> tuple[Socket, HandshakeWatch]:
        return connect_control(context, connection)

    def _new_session_id(self) -> bytes:
        return os.urandom(SESSION_BYTES)

    def _open(self, now: float) -> None:
        self._session = Session(self._new_session_id(), now)
        self._outbox = Outbox()
        self._inbox = Inbox()
        self.send(self._hello())
        self._journaled = 0
        self._kept = deque(encoded for encoded in self._kept if encoded is not None)
        for encoded in self._kept:
            if encoded is not None:
                self._outbox.add(encoded)

    def _take(self, frames: list[bytes], now: float) -> list[Message]:
        header = unpack_header(frames[0])
        if header.session != self._session.session_id:
            return []  # Late word in a session that we have left.
        if len(frames) != 1 + header.carries_payload:
            raise MalformedMessage("wrong number of frames")
        verdict = self._session.receive(header, now)
        if verdict is Verdict.UNKNOWN:
            self._open(now)
        elif verdict is Verdict.MALFORMED:
            raise MalformedMessage("an acknowledgement of what was never sent")
        return self._accept(header, frames[1]) if verdict is Verdict.ACCEPT else []

    def _accept(self, header: Header, payload: bytes) -> list[Message]:
        whole = self._inbox.add(payload, bool(header.flags & MORE))
        if whole is None:
            return []
        messages = self._incoming.decode(whole)
        self.welcomed = True
        for message in messages:
            if isinstance(message, RunAttempts):
                alike.unfold(message.assignments)
            elif isinstance(message, Refused):
                self._refused = message.message  # For `check` to raise.
        return [message for message in messages if not isinstance(message, Refused)]
