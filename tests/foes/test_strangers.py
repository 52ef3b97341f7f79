"""Who has no keys of the run gets nowhere, and holds up nobody."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
import zmq

import vine
from tests.foes.siege import USUAL_FILES_MAX, Besieged
from tests.live.helpers import done, on
from tests.waiting import until
from tests.wire.test_hub import STRANGERS
from vine.wire.keys import new_pair
from vine.wire.parts import Role
from vine.wire.sockets import connect_control, connect_push

pytestmark = pytest.mark.live


@pytest.mark.parametrize("said", STRANGERS.values(), ids=STRANGERS.keys())
def test_strangers_at_every_port_get_nowhere(besieged: Besieged, said: bytes) -> None:
    ports = [*besieged.ports("manager"), *besieged.ports("worker")]
    assert len(ports) == 5, "one for control, and two of each transfer node"
    strangers = [socket.create_connection(("127.0.0.1", port)) for port in ports for _ in range(20)]
    for stranger in strangers:
        stranger.sendall(said)
    besieged.serves()
    for stranger in strangers:
        stranger.close()
    besieged.stands()


def test_a_thousand_handshakes_that_stall_at_every_port_hold_up_nobody(besieged: Besieged) -> None:
    # given more connections than a program may usually have open
    stalled = {
        name: [socket.create_connection(("127.0.0.1", p)) for p in besieged.ports(name) for _ in range(1000)]
        for name in besieged.programs
    }
    until(lambda: besieged.vitals("manager")[0] > USUAL_FILES_MAX, "they are held")
    # then those who belong here are served, and new ones come in
    besieged.serves()
    with besieged.site.client() as another:
        assert another.fetch_file(another.declare_buffer(b"mine")) == b"mine"
    # and what stalls is dropped, though nobody closes it
    besieged.stands()
    for stranger in [each for them in stalled.values() for each in them]:
        stranger.close()


def test_a_tasks_own_limit_of_files_is_what_the_worker_was_started_with(besieged: Besieged) -> None:
    (task,) = done(besieged.client, on("w0", vine.Task("ulimit -Sn")))
    assert task.std_output.split() == [str(USUAL_FILES_MAX)]


@pytest.mark.parametrize("role", [Role.CLIENT, Role.WORKER, Role.FACTORY])
def test_keys_that_were_not_made_for_the_run_are_refused_and_counted(besieged: Besieged, role: Role) -> None:
    before = besieged.told()["manager"]["refused"]
    stranger = replace(besieged.connection(role), own=new_pair())
    control, watch = connect_control(besieged.context, stranger)
    data = [
        connect_push(besieged.context, stranger.own, public, f"tcp://127.0.0.1:{port}")
        for name, public in (("manager", stranger.server_public), ("worker", stranger.worker_public))
        for port in besieged.ports(name)
    ]
    until(lambda: watch.read() or watch.refusal, "it is told")
    besieged.counts(lambda found: int(found["manager"]["refused"]), 3, before)
    assert not [push for push in data if push.poll(0, zmq.POLLOUT)], "nothing can be sent anywhere"
    watch.close()
    for opened in (control, *data):
        opened.close(linger=0)
    besieged.stands()


def test_a_manager_with_other_keys_is_not_taken_for_ours(besieged: Besieged) -> None:
    wrong = replace(besieged.connection(Role.CLIENT), server_public=new_pair().public)
    control, watch = connect_control(besieged.context, wrong)
    until(lambda: watch.read() or watch.refusal, "the handshake fails")
    watch.close()
    control.close(linger=0)
    besieged.stands()
