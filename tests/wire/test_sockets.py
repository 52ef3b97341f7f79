"""Who gets through the gate to which socket, and what the sockets do with what is too much."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
import zmq

from vine import config
from vine.errors import MalformedMessage
from vine.wire.keys import KeyPair, new_pair, new_run_keys
from vine.wire.parts import Role
from vine.wire.sockets import Context, Gate, Socket, bind_control, bind_pull, connect_push, make_context, role_of

pytestmark = pytest.mark.live

KEYS = new_run_keys()
SOON_MS = 10_000  # for what must come
QUIET_MS = 150  # for what must not come: any arrival within it is a failure, none is ever waited for


@pytest.fixture
def context() -> Iterator[Context]:
    context = make_context()
    yield context
    context.destroy(0)


@pytest.fixture
def gate(context: Context) -> Iterator[Gate]:
    gate = Gate(context, KEYS)
    yield gate
    gate.close()


def sent(push: Socket, payload: bytes) -> bool:
    """Whether it could be sent within the time for what must come."""
    return bool(push.poll(SOON_MS, zmq.POLLOUT)) and push.send(payload, zmq.DONTWAIT) is None


@pytest.mark.parametrize("role", [Role.SERVER, Role.WORKER])
def test_data_sockets_admit_the_manager_and_workers_and_know_them_apart(
    context: Context, gate: Gate, role: Role
) -> None:
    pull, endpoint = bind_pull(context, KEYS.pairs[Role.WORKER], "127.0.0.1")
    push = connect_push(context, KEYS.pairs[role], KEYS.worker_public, endpoint)
    assert sent(push, b"want")
    assert pull.poll(SOON_MS)
    frame = pull.recv(copy=False)
    assert (frame.bytes, role_of(frame)) == (b"want", role)


@pytest.mark.parametrize("pair", [KEYS.pairs[Role.CLIENT], KEYS.pairs[Role.FACTORY], new_pair()])
def test_data_sockets_admit_nobody_else(context: Context, gate: Gate, pair: KeyPair) -> None:
    _, endpoint = bind_pull(context, KEYS.pairs[Role.WORKER], "127.0.0.1")
    push = connect_push(context, pair, KEYS.worker_public, endpoint)
    events = push.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    push.disconnect(endpoint)
    push.connect(endpoint)
    assert events.poll(SOON_MS)
    assert int.from_bytes(events.recv_multipart()[0][:2], "little") == zmq.EVENT_HANDSHAKE_FAILED_AUTH
    with pytest.raises(zmq.Again):
        push.send(b"want", zmq.DONTWAIT)
    assert gate.refused >= 1
    push.disable_monitor()


def test_the_control_socket_does_not_admit_the_managers_own_key(context: Context, gate: Gate) -> None:
    router, port = bind_control(context, KEYS, "127.0.0.1", 0)
    dealer = connect_push(context, KEYS.server, KEYS.server_public, f"tcp://127.0.0.1:{port}")
    assert not dealer.poll(QUIET_MS, zmq.POLLOUT)
    assert gate.refused >= 1
    router.close()


def test_without_a_gate_nobody_is_admitted(context: Context) -> None:
    _, endpoint = bind_pull(context, KEYS.pairs[Role.WORKER], "127.0.0.1")
    push = connect_push(context, KEYS.pairs[Role.WORKER], KEYS.worker_public, endpoint)
    assert not push.poll(QUIET_MS, zmq.POLLOUT)


def test_a_closed_gate_leaves_nothing_behind(context: Context) -> None:
    gate = Gate(context, KEYS)
    gate.close()
    gate.close()
    Gate(context, KEYS).close()


def test_data_may_go_without_encryption_if_both_ends_agree(context: Context, gate: Gate) -> None:
    pull, endpoint = bind_pull(context, KEYS.pairs[Role.WORKER], "127.0.0.1", curve=False)
    push = connect_push(context, KEYS.pairs[Role.WORKER], KEYS.worker_public, endpoint, curve=False)
    assert sent(push, b"chunk")
    assert pull.poll(SOON_MS)
    with pytest.raises(MalformedMessage):
        role_of(pull.recv(copy=False))


def test_nothing_is_queued_for_a_peer_that_is_not_there(context: Context) -> None:
    push = connect_push(context, KEYS.pairs[Role.WORKER], KEYS.worker_public, "tcp://127.0.0.1:9")
    with pytest.raises(zmq.Again):
        push.send(b"chunk", zmq.DONTWAIT)


def test_an_address_that_is_none_is_the_fault_of_who_sent_it(context: Context) -> None:
    for endpoint in ("tcp://127.0.0.1:99999", "tcp://127.0.0.1:0", "carrier://pigeon:1", "tcp://host"):
        with pytest.raises(MalformedMessage, match="no address"):
            connect_push(context, KEYS.pairs[Role.WORKER], KEYS.worker_public, endpoint)


def test_a_whole_chunk_passes_and_a_larger_frame_does_not(context: Context, gate: Gate) -> None:
    pull, endpoint = bind_pull(context, KEYS.pairs[Role.WORKER], "127.0.0.1")
    good = connect_push(context, KEYS.pairs[Role.WORKER], KEYS.worker_public, endpoint)
    bad = connect_push(context, KEYS.pairs[Role.WORKER], KEYS.worker_public, endpoint)
    assert sent(bad, bytes(config.chunk_bytes_max + config.data_frame_slack_bytes + 1))
    assert sent(good, bytes(config.chunk_bytes_max))
    assert pull.poll(SOON_MS)
    assert len(pull.recv()) == config.chunk_bytes_max
    assert not pull.poll(QUIET_MS)


def test_there_is_room_for_as_many_sockets_as_files(context: Context) -> None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert context.get(zmq.MAX_SOCKETS) == (65535 if soft == resource.RLIM_INFINITY else min(max(soft, 64), 65535))


def test_an_address_of_the_new_kind_can_be_bound_and_reached(context: Context, gate: Gate) -> None:
    pull, endpoint = bind_pull(context, KEYS.pairs[Role.WORKER], "::1")
    assert endpoint.startswith("tcp://[::1]:")
    push = connect_push(context, KEYS.pairs[Role.WORKER], KEYS.worker_public, endpoint)
    assert sent(push, b"want")
    assert pull.poll(SOON_MS)
