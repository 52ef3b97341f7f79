"""What foes attack: one manager and one worker, for all tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
import zmq

from tests.foes.siege import Besieged, Member, usual_limits
from tests.live.helpers import SOURCES, a_site
from tests.waiting import GIVE_UP_S
from vine.wire.parts import Role
from vine.wire.sockets import Socket, connect_push


@pytest.fixture(scope="package")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """They end with this room: what other rooms find running is their own."""
    folder = tmp_path_factory.mktemp("foes")
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("PYTHONPATH", SOURCES)
        with usual_limits():
            site = stack.enter_context(a_site(folder / "site", ["w0"]))
        attacked = Besieged(site, stack.enter_context(site.client()), folder)
        yield attacked
        attacked.close()


@pytest.fixture
def member(besieged: Besieged) -> Iterator[Callable[[Role], Member]]:
    with ExitStack() as stack:
        yield lambda role: stack.enter_context(closing(Member(besieged, role)))


@pytest.fixture
def edges(besieged: Besieged) -> Iterator[dict[str, list[Socket]]]:
    """A worker's edges to every data port of the manager and of the worker."""
    mine = besieged.connection(Role.WORKER)
    control = int(mine.endpoint.rpartition(":")[2])
    opened = {
        name: [
            connect_push(besieged.context, mine.own, public, f"tcp://127.0.0.1:{port}")
            for port in besieged.ports(name)
            if port != control
        ]
        for name, public in (("manager", mine.server_public), ("worker", mine.worker_public))
    }
    for edge in [each for theirs in opened.values() for each in theirs]:
        assert edge.poll(1000 * GIVE_UP_S, zmq.POLLOUT)
    yield opened
    for edge in [each for theirs in opened.values() for each in theirs]:
        edge.close(linger=0)
