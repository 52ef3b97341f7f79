"""What a client, worker or factory sees of the manager: each message once, or one line that says why not."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import zmq

from tests.wire.live import HELLOS, Run, relay_to
from vine import config
from vine.errors import ConnectionFileError, ConnectionRefused, MalformedMessage, ManagerLost
from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.codec import encode_one
from vine.wire.keys import new_pair
from vine.wire.messages import CancelTasks, ClientHello, Message, Refused, RunState
from vine.wire.parts import Assignment, Resources, Role, TaskKind
from vine.wire.session import Header, pack_header
from vine.wire.worker_messages import EndWorker, ObjectsHeld, RunAttempts

pytestmark = pytest.mark.live


def numbered(number: int) -> Message:
    return CancelTasks((TaskId(number),))


def state(number: int) -> Message:
    return RunState(number, 1.0, {}, 0, 0)


@pytest.mark.parametrize("role", list(HELLOS))
def test_the_hello_of_each_role_arrives_by_itself(run: Run, role: Role) -> None:
    run.meet(role)
    assert [(role_, message) for _, role_, message in run.at_hub] == [(role, HELLOS[role])]


def test_messages_go_both_ways_in_order(run: Run) -> None:
    link, peer = run.meet()
    for number in range(1000):
        link.send(numbered(number))
        run.hub.send(peer, state(number))
    run.drive(lambda: len(run.at_hub) == 1001 and len(run.at_link) == 1000)
    assert [message for _, _, message in run.at_hub[1:]] == [numbered(number) for number in range(1000)]
    assert [message for _, message in run.at_link] == [state(number) for number in range(1000)]
    run.drive(lambda: link.backlog_bytes == 0)


def test_assignments_are_short_on_the_way_and_whole_at_the_worker(run: Run) -> None:
    # given assignments of which each has the same shared value, and one that cannot be what the manager meant
    _, peer = run.meet(Role.WORKER)
    shared = (ObjectId("a" * 64),)

    def order(shared: tuple[ObjectId, ...] | None) -> RunAttempts:
        numbers = range(3)
        return RunAttempts(
            tuple(Assignment(AttemptId(1, n), TaskId(n), TaskKind.CALL, Resources(), shared=shared) for n in numbers)
        )

    # when they are sent
    run.hub._peers[peer].outbox.add(encode_one(order(None)))
    run.hub.flush(time.monotonic())
    run.hub.send(peer, order(shared))
    sent = run.hub._peers[peer].outbox._open_bytes
    run.drive(lambda: bool(run.at_link))
    # then they name it once, and arrive as they were; the other one is dropped
    assert run.at_link == [(run.links[0], order(shared))]
    assert sent < len(encode_one(order(shared))) - 2 * 60
    assert sum(run.links[0].malformed.values()) == 1


def test_a_message_longer_than_any_frame_arrives(run: Run) -> None:
    link, _ = run.meet(Role.WORKER)
    held = ObjectsHeld((HELLOS_OBJECT,) * (2 * config.control_bytes_max // 66))
    link.send(held)
    run.drive(lambda: run.at_hub[-1][2] == held)


HELLOS_OBJECT = "a" * 64


def test_a_message_that_the_manager_would_drop_is_refused_at_once(run: Run) -> None:
    link = run.link()
    with pytest.raises(MalformedMessage, match=r"client-hello: .* at `python`"):
        link.send(ClientHello("c", "h", "x" * 300))  # type: ignore[arg-type]


# --- who is not admitted -------------------------------------------------------------------------


def test_a_wrong_key_of_ours_is_told_in_one_line(run: Run) -> None:
    run.link(replace(run.connection(), own=new_pair()))
    with pytest.raises(ConnectionRefused, match=r"^[^\n]*does not know our key; use the connection file[^\n]*$"):
        run.drive(lambda: False)


def test_another_runs_manager_is_told_in_one_line(run: Run) -> None:
    run.link(replace(run.connection(), server_public=new_pair().public))
    with pytest.raises(ConnectionRefused, match=r"^[^\n]*another run's key[^\n]*use the connection file[^\n]*$"):
        run.drive(lambda: False)


def test_a_server_without_encryption_is_told_in_one_line(run: Run) -> None:
    plain = run.outside.socket(zmq.ROUTER)
    port = plain.bind_to_random_port("tcp://127.0.0.1")
    run.link(run.connection(endpoint=f"tcp://127.0.0.1:{port}"))
    try:
        with pytest.raises(ConnectionRefused, match="no manager with encryption"):
            run.drive(lambda: False)
    finally:
        plain.close(0)


def test_what_speaks_another_protocol_is_told_in_one_line(run: Run) -> None:
    web = run.outside.socket(zmq.STREAM)
    web.setsockopt(zmq.STREAM_NOTIFY, 0)
    port = web.bind_to_random_port("tcp://127.0.0.1")
    run.link(run.connection(endpoint=f"tcp://127.0.0.1:{port}"))

    def answer() -> bool:
        while web.poll(0):
            web.send_multipart([web.recv_multipart()[0], b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 100])
        return False

    try:
        with pytest.raises(ConnectionRefused, match="no manager with encryption"):
            run.drive(answer)
    finally:
        web.close(0)


def test_a_refusal_by_the_manager_is_told_with_its_reason(run: Run) -> None:
    _, peer = run.meet()
    run.hub.send(peer, Refused("protocol 2 is spoken here: install the same version"))
    run.hub.forget(peer)
    with pytest.raises(ConnectionRefused, match="protocol 2 is spoken here"):
        run.drive(lambda: False)
    assert run.at_link == []


# --- a manager that is gone ----------------------------------------------------------------------


def test_an_address_where_nobody_answers_is_told_after_the_time_limit(run: Run) -> None:
    link = run.link(run.connection(endpoint="tcp://127.0.0.1:9"))
    now = time.monotonic()
    link.check(now + config.connect_timeout_s - 1)
    with pytest.raises(ManagerLost, match=r"no manager answered at tcp://127.0.0.1:9 within 10 s: check"):
        link.check(now + config.connect_timeout_s + 1)


def test_a_manager_that_falls_silent_is_told_after_the_time_limit(run: Run) -> None:
    link, peer = run.meet()
    run.hub.send(peer, state(1))
    run.drive(lambda: bool(run.at_link))
    now = time.monotonic()
    for second in range(int(config.manager_lost_after_s)):
        link.check(now + second)
    with pytest.raises(ManagerLost, match="silent for 60 s"):
        link.check(now + config.manager_lost_after_s + 1)


def test_time_in_which_we_were_stopped_ourselves_is_no_silence(run: Run) -> None:
    link, peer = run.meet()
    run.hub.send(peer, state(1))
    run.drive(lambda: bool(run.at_link))
    link.check(time.monotonic() + 10 * config.manager_lost_after_s)


def test_a_manager_that_reads_nothing_is_told(run: Run) -> None:
    link, _ = run.meet()
    for _ in range(5):
        link._session.send(bytes(config.unacknowledged_bytes_max // 4))
    with pytest.raises(ManagerLost, match="MiB unread"):
        link.check(time.monotonic())


# --- connections that break ----------------------------------------------------------------------


@pytest.mark.parametrize("lost_bytes", [0, 1, 20_000])
def test_every_message_arrives_once_and_in_order_though_the_connection_breaks(run: Run, lost_bytes: int) -> None:
    with relay_to(run.hub.port) as relay:
        link, peer = run.meet(endpoint=relay.endpoint)
        session = link._session.session_id
        total, step = 12_000, 100
        for first in range(0, total, step):
            for number in range(first, first + step):
                link.send(numbered(number))
                run.hub.send(peer, state(number))
            run.step()
            if first in (2_000, 5_000, 8_000):
                relay.cut_after(lost_bytes)
        run.drive(lambda: len(run.at_hub) > total and len(run.at_link) >= total)
        assert [message for _, _, message in run.at_hub[1:]] == [numbered(number) for number in range(total)]
        assert [message for _, message in run.at_link] == [state(number) for number in range(total)]
        assert relay.cuts > 0
        assert link._session.session_id == session


def test_a_manager_that_forgot_us_is_greeted_anew(run: Run) -> None:
    link, peer = run.meet()
    run.drive(lambda: link.backlog_bytes == 0)
    session = link._session.session_id
    run.hub.forget(peer)
    run.drive(lambda: len(run.at_hub) == 2)
    assert run.at_hub[1][2] == HELLOS[Role.CLIENT]
    assert run.at_hub[1][0] != peer
    assert link._session.session_id != session


def test_a_restarted_manager_is_greeted_anew_and_both_ways_work(run: Run) -> None:
    link, peer = run.meet(Role.WORKER)
    run.drive(lambda: link.backlog_bytes == 0)
    run.restart_hub()
    run.drive(lambda: len(run.at_hub) == 2)
    again = run.at_hub[1][0]
    assert again != peer
    run.hub.send(again, EndWorker("over"))
    run.drive(lambda: bool(run.at_link))
    assert run.at_link == [(link, EndWorker("over"))]


# --- a manager that talks nonsense ---------------------------------------------------------------


def test_nonsense_is_counted_and_dropped_and_the_next_good_message_is_taken(run: Run) -> None:
    link, peer = run.meet()
    record = run.hub._peers[peer]
    session = record.session.session_id
    for frames in (
        [b"", b""],
        [b"\xff" * 50],
        [pack_header(Header(session, 1, 0))],
        [pack_header(Header(session, 0, 0)), b"payload"],
        [pack_header(Header(session, 0, 99))],
        [b"x"] * 10_000,
    ):
        run.hub.socket.send_multipart([record.route, *frames])
    record.session.send(b"\xc1 no message")
    run.hub.send(peer, state(7))
    run.drive(lambda: bool(run.at_link))
    assert run.at_link == [(link, state(7))]
    assert sum(link.malformed.values()) == 7


def test_a_connection_file_with_an_impossible_port_is_told(run: Run) -> None:
    with pytest.raises(ConnectionFileError, match=r"no such port\); use the connection file"):
        run.link(run.connection(endpoint="tcp://127.0.0.1:99999"))
