"""How is each ZeroMQ socket made: the one file that knows contexts, options, CURVE and ZAP."""

from __future__ import annotations

import errno
import logging
import resource
import struct
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

import zmq
from zmq.utils import z85

from vine import config
from vine.errors import CannotBind, ConnectionFileError, MalformedMessage
from vine.wire.keys import Connection, KeyPair, RunKeys
from vine.wire.parts import Role

if TYPE_CHECKING:
    Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
    Socket: TypeAlias = "zmq.Socket[bytes]"
else:
    Context = zmq.Context
    Socket = zmq.Socket

log = logging.getLogger(__name__)

CONTROL = b"control"  # ZAP domains: whose keys a socket admits
DATA = b"data"
_MAX_SOCKETS = 65535  # What libzmq can hold.
_ZAP_ENDPOINT = "inproc://zeromq.zap.01"  # RFC 27
_EVENT = struct.Struct("=H")  # zmq_socket_monitor(3). pyzmq's parser of it brings asyncio along: 10 ms of each start.
_EVERY_ADDRESS = ("*", "0.0.0.0", "::", "")  # noqa: S104 - to refuse it


def allow_many_files() -> None:
    """Each connection is an open file, a stranger's that stalls too, and the usual limit of 1,024 is a soft one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def make_context(io_threads: int = 1) -> Context:
    """A context with room for as many sockets as the process may open files."""
    context: Context = zmq.Context(io_threads)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    context.set(zmq.MAX_SOCKETS, _MAX_SOCKETS if soft == resource.RLIM_INFINITY else min(max(soft, 64), _MAX_SOCKETS))
    return context


class HasPublicKeys(Protocol):
    """`RunKeys` or `Connection`."""

    def public(self, role: Role) -> bytes: ...


# --- who is admitted -----------------------------------------------------------------------------


class Gate:
    """Answers libzmq's question whether a key may connect: one a context, made before any bind.

    It speaks ZAP itself: that takes a page, names the peer by its role, and costs none of the event
    loop that pyzmq's own authenticator brings along. The keys of a run never change, so it knows
    all answers from the start.
    """

    def __init__(self, context: Context, keys: RunKeys | Connection) -> None:
        self._admitted = _admitted(keys)
        self.refused = 0  # connections of strangers
        self._handler: Socket = context.socket(zmq.REP)
        self._handler.linger = 0
        self._handler.bind(_ZAP_ENDPOINT)
        stop_endpoint = f"inproc://gate-{id(self):x}"
        self._stopped: Socket = context.socket(zmq.PAIR)
        self._stopped.bind(stop_endpoint)
        self._stop: Socket = context.socket(zmq.PAIR)
        self._stop.linger = 0
        self._stop.connect(stop_endpoint)
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """From now on nobody new is admitted on this context."""
        if not self._stop.closed:
            self._stop.send(b"")
            self._thread.join()
            self._stop.close()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._handler, zmq.POLLIN)
        poller.register(self._stopped, zmq.POLLIN)
        try:
            while self._stopped not in dict(poller.poll()):
                self._handler.send_multipart(self._answer(self._handler.recv_multipart()))
            self._handler.unbind(_ZAP_ENDPOINT)  # Closing would free it only in its own time.
        except zmq.ContextTerminated:
            log.debug("the context has ended before its gate was closed")
        finally:
            self._handler.close(0)
            self._stopped.close(0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, request_id, domain, address, _identity, mechanism, *credentials = request
        role = None
        if mechanism == b"CURVE" and credentials:
            role = self._admitted.get(domain, {}).get(z85.encode(credentials[0]))
        if role is not None:
            return [version, request_id, b"200", b"OK", role.value.encode(), b""]
        self.refused += 1
        if self.refused & (self.refused - 1) == 0:  # A stranger that tries for ever must not fill the log.
            stranger = address.decode(errors="replace")
            log.warning("refused a connection from %s: its key has no place here (%d so far)", stranger, self.refused)
        return [version, request_id, b"400", b"unknown key", b"", b""]


def _admitted(keys: RunKeys | Connection) -> Mapping[bytes, Mapping[bytes, Role]]:
    """By domain: the public keys that may connect, and whose they are."""
    data = {keys.public(role): role for role in (Role.SERVER, Role.WORKER)}
    if isinstance(keys, Connection):
        return {DATA: data}
    return {CONTROL: {keys.public(role): role for role in (Role.CLIENT, Role.WORKER, Role.FACTORY)}, DATA: data}


def role_of(frame: zmq.Frame) -> Role:
    """Whose key the connection has by which this frame came."""
    try:
        return Role(frame.get("User-Id"))
    except (zmq.ZMQError, ValueError):
        raise MalformedMessage("a frame from a connection without a role") from None


# --- control sockets -----------------------------------------------------------------------------


def bind_control(context: Context, keys: RunKeys, host: str, port: int) -> tuple[Socket, int]:
    """The manager's ROUTER and the port that it got; `port` 0 takes any free one."""
    socket = _new(context, zmq.ROUTER, config.control_bytes_max, config.control_hwm_envelopes)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # An unroutable envelope is told, not dropped.
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    _admit(socket, keys.server, CONTROL)
    endpoint = _bind(socket, host, port)
    return socket, int(endpoint.rpartition(":")[2])


def connect_control(context: Context, connection: Connection) -> tuple[Socket, HandshakeWatch]:
    """The DEALER of a client, worker or factory, and who watches its handshakes."""
    socket = _new(context, zmq.DEALER, config.control_bytes_max, config.control_hwm_envelopes)
    _introduce(socket, connection.own, connection.server_public)
    watch = HandshakeWatch(socket)
    try:
        _connect(socket, connection.endpoint)
    except MalformedMessage as error:
        watch.close()
        socket.close()
        raise ConnectionFileError(
            f"{connection.run_dir}: {error}; use the connection file that the running manager has written"
        ) from None
    return socket, watch


# --- data sockets --------------------------------------------------------------------------------


def bind_pull(context: Context, own: KeyPair, host: str, port: int = 0, curve: bool = True) -> tuple[Socket, str]:
    """A transfer node's socket for wants or chunks, and its endpoint."""
    socket = _new(context, zmq.PULL, config.chunk_bytes_max + config.data_frame_slack_bytes, config.data_hwm_messages)
    if curve:
        _admit(socket, own, DATA)
    return socket, _bind(socket, host, port)


def connect_push(context: Context, own: KeyPair, peer_public: bytes, endpoint: str, curve: bool = True) -> Socket:
    """One edge to one peer. Send with DONTWAIT: until it is connected, and when its queue is full, it says EAGAIN."""
    socket = _new(context, zmq.PUSH, config.chunk_bytes_max + config.data_frame_slack_bytes, config.data_hwm_messages)
    # Else it grows to megabytes, and of several children whose chunks share a link some get far ahead of others.
    socket.setsockopt(zmq.SNDBUF, config.data_send_buffer_bytes)
    socket.setsockopt(zmq.IMMEDIATE, 1)  # Nothing is queued for a peer that is not there.
    if curve:
        _introduce(socket, own, peer_public)
    try:
        _connect(socket, endpoint)
    except MalformedMessage:
        socket.close()
        raise
    return socket


# --- what all sockets have -----------------------------------------------------------------------


def _new(context: Context, kind: int, frame_bytes_max: int, hwm: int) -> Socket:
    socket: Socket = context.socket(kind)
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.SNDHWM, hwm),
        (zmq.RCVHWM, hwm),
        (zmq.MAXMSGSIZE, frame_bytes_max),
        (zmq.HEARTBEAT_IVL, config.zmq_heartbeat_ms),
        (zmq.HEARTBEAT_TIMEOUT, config.zmq_silence_ms),
        (zmq.HEARTBEAT_TTL, config.zmq_silence_ms),
        (zmq.HANDSHAKE_IVL, config.zmq_handshake_ms),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.CONNECT_TIMEOUT, config.zmq_connect_ms),
        (zmq.RECONNECT_IVL, config.reconnect_first_ms),
        (zmq.RECONNECT_IVL_MAX, config.reconnect_max_ms),
        (zmq.BACKLOG, config.zmq_backlog),
    ):
        socket.setsockopt(option, value)
    return socket


def _admit(socket: Socket, own: KeyPair, domain: bytes) -> None:
    """Make it the server's end of CURVE; without a Gate it admits nobody."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, own.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, own.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, domain)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def _introduce(socket: Socket, own: KeyPair, peer_public: bytes) -> None:
    socket.setsockopt(zmq.CURVE_PUBLICKEY, own.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, own.secret)
    socket.setsockopt(zmq.CURVE_SERVERKEY, peer_public)


def _bind(socket: Socket, host: str, port: int) -> str:
    if host in _EVERY_ADDRESS:
        socket.close()
        raise CannotBind(f"cannot listen on every address ({host!r}): name the one address that the workers reach")
    if ":" in host:
        socket.setsockopt(zmq.IPV6, 1)
        host = f"[{host}]"
    try:
        socket.bind(f"tcp://{host}:{port or '*'}")
    except zmq.ZMQError as error:
        socket.close()
        remedy = _BIND_REMEDIES.get(error.errno or 0, "name another address or port")
        raise CannotBind(f"cannot listen on {host}:{port} ({error.strerror}): {remedy}") from None
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


_BIND_REMEDIES = {
    errno.EADDRINUSE: "name another port, or 0 for any free one",
    errno.EADDRNOTAVAIL: "name an address of this machine",
    errno.ENODEV: "name an address of this machine",
    errno.EACCES: "name a port above 1023, or 0 for any free one",
}


def _connect(socket: Socket, endpoint: str) -> None:
    socket.setsockopt(zmq.IPV6, "[" in endpoint)
    port = endpoint.rpartition(":")[2]
    if not (port.isdecimal() and 0 < int(port) < 1 << 16):  # libzmq would take such a port modulo 2^16.
        raise MalformedMessage(f"{endpoint} is no address to connect to (no such port)")
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise MalformedMessage(f"{endpoint} is no address to connect to ({error.strerror})") from None


# --- how a connection fares ----------------------------------------------------------------------


class HandshakeWatch:
    """Tells from a connecting socket's events whether the other end admits us, and when it is connected anew."""

    def __init__(self, socket: Socket) -> None:
        events = (
            zmq.EVENT_CONNECTED
            | zmq.EVENT_DISCONNECTED
            | zmq.EVENT_HANDSHAKE_SUCCEEDED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        self._watched = socket
        self.socket: Socket = socket.get_monitor_socket(events)  # to poll beside the watched one
        self.connections = 0  # handshakes that succeeded
        self.refusal: str | None = None  # why no handshake will ever succeed
        self._failures = 0
        self._shaking = False
        self._on: Mapping[int, Callable[[], None]] = {
            zmq.EVENT_CONNECTED: self._connected,
            zmq.EVENT_DISCONNECTED: self._disconnected,
            zmq.EVENT_HANDSHAKE_SUCCEEDED: self._succeeded,
            zmq.EVENT_HANDSHAKE_FAILED_AUTH: self._not_admitted,
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: self._other_language,
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: self._closed_on_us,
        }

    def read(self) -> None:
        """Take note of what has happened since."""
        while self.socket.poll(0):
            (event,) = _EVENT.unpack_from(self.socket.recv_multipart()[0])
            handler = self._on.get(event)
            if handler is not None:
                handler()

    def close(self) -> None:
        self._watched.disable_monitor()
        self.socket.close(0)

    def _connected(self) -> None:
        self._shaking = True

    def _succeeded(self) -> None:
        self._shaking = False
        self._failures = 0
        self.connections += 1

    def _not_admitted(self) -> None:
        self._shaking = False
        self.refusal = "it does not know our key"

    def _other_language(self) -> None:
        self._shaking = False
        self.refusal = "what listens there is no manager with encryption"

    def _disconnected(self) -> None:
        if self._shaking:  # libzmq names no failure if the first bytes are not ZeroMQ's, and gives up.
            self._other_language()

    def _closed_on_us(self) -> None:
        """A server whose key is not the one that we expect just closes, as one does that is about to end."""
        self._shaking = False
        self._failures += 1
        if not self.connections and self._failures >= config.handshake_failures_max:
            self.refusal = "it has another run's key, or is no manager"
