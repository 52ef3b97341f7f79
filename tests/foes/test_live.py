"""A manager and a worker as users start them, among foes: they live, serve their own, count, and grow no larger."""

from __future__ import annotations

import math
import os
import resource
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import psutil
import pytest
import zmq

import vine
from tests.live import bodies
from tests.live.helpers import SOURCES, Site, a_site, done, on
from tests.waiting import GIVE_UP_S, until
from tests.wire.live import HELLOS
from tests.wire.test_hub import BAD_FRAMES, STRANGERS
from vine import config
from vine.manager.journal import file_name
from vine.names import AttemptId, HostId, ObjectId, TransferId, WorkerId
from vine.views.reading import open_run
from vine.views.sections import status
from vine.wire.codec import Decoder, encode, encode_one
from vine.wire.data import Chunk, Want
from vine.wire.keys import Connection, load_connection, new_pair
from vine.wire.messages import Message, Refused, ToClient, ToFactory
from vine.wire.parts import AttemptResult, Outcome, Role
from vine.wire.session import Header, pack_header
from vine.wire.sockets import Context, Socket, connect_control, connect_push, make_context
from vine.wire.worker_messages import AttemptsEnded, ToWorker, WorkerBye, WorkerHello

pytestmark = pytest.mark.live

USUAL_FILES_MAX = 1024  # The soft limit with which most systems start programs.
GROWTH_BYTES_MAX = 64 << 20  # Of a process, by all that foes have said to it.
_TO: dict[Role, Decoder[Message]] = {
    Role.CLIENT: Decoder(ToClient),
    Role.WORKER: Decoder(ToWorker),
    Role.FACTORY: Decoder(ToFactory),
}


@contextmanager
def _usual_limits() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL_FILES_MAX, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Besieged:
    """A site of one worker, and a client that is served whatever happens around it."""

    def __init__(self, site: Site, client: vine.Manager, folder: Path) -> None:
        self.site, self.client, self.folder = site, client, folder
        self.executor = vine.Executor(client)
        self.context: Context = make_context()
        self.programs = {"manager": site.manager, "worker": site.workers["w0"]}
        self.processes = {name: psutil.Process(program.pid) for name, program in self.programs.items()}
        self._files = 0
        self.serves()
        self.before = {name: self.vitals(name) for name in self.programs}

    def vitals(self, name: str) -> tuple[int, int]:
        """Open files, and bytes of memory."""
        process = self.processes[name]
        return process.num_fds(), process.memory_info().rss

    def serves(self) -> None:
        """A file that is new comes to the worker, and a call goes there and back."""
        self._files += 1
        path = self.folder / f"file-{self._files}"
        path.write_bytes(os.urandom(300_000))
        task = on("w0", vine.Task("wc -c < it"))
        task.add_input(self.client.declare_file(path), "it")
        done(self.client, task)
        assert task.successful() and task.std_output.split() == ["300000"], task.error
        assert self.executor.submit(bodies.add, 2, 3).result(GIVE_UP_S) == 5

    def stands(self) -> None:
        """Both processes are those that were started, serve, hold as many files as before, and are no larger."""
        self.serves()
        for name, program in self.programs.items():
            assert program.process.poll() is None, program.complaints()
            files, memory = self.before[name]
            until(lambda name=name, files=files: self.vitals(name)[0] <= files + 20, f"{name} closes what foes opened")  # type: ignore[misc]
            assert self.vitals(name)[1] <= memory + GROWTH_BYTES_MAX, f"{name} has grown"
            assert "Traceback" not in program.complaints()

    def ports(self, name: str) -> list[int]:
        found = self.processes[name].net_connections("tcp")
        return [each.laddr.port for each in found if each.status == psutil.CONN_LISTEN]

    def connection(self, role: Role) -> Connection:
        return load_connection(self.site.run_dir, role)

    def told(self) -> dict[str, Any]:
        with open_run(self.site.run_dir) as run:
            return status(run, 0.0)

    def counts(self, what: Callable[[dict[str, Any]], int], more: int, before: int) -> None:
        until(lambda: what(self.told()) >= before + more, f"{more} more are counted than {before}")


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    os.environ["PYTHONPATH"] = SOURCES
    folder = tmp_path_factory.mktemp("foes")
    with _usual_limits():
        started = a_site(folder / "site", ["w0"])
        site = started.__enter__()
    try:
        with site.client() as client:
            besieged = Besieged(site, client, folder)
            yield besieged
            besieged.executor.shutdown()
            besieged.context.destroy(linger=0)
    finally:
        started.__exit__(None, None, None)


class Member:
    """Somebody with true keys of the run who says what no program of ours says."""

    def __init__(self, besieged: Besieged, role: Role) -> None:
        self.role = role
        self.session = os.urandom(16)
        self._said = 0
        self.socket: Socket
        self.socket, self._watch = connect_control(besieged.context, besieged.connection(role))

    def frames(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def says(self, *messages: Message) -> None:
        self._said += 1
        self.frames(pack_header(Header(self.session, self._said, 0)), encode(messages))

    def hears(self, kind: type[Message]) -> Message:
        """The next message of this kind."""
        while True:
            assert self.socket.poll(1000 * GIVE_UP_S), "nothing was said"
            _, *payload = self.socket.recv_multipart()
            for message in _TO[self.role].decode(payload[0]) if payload else ():
                if isinstance(message, kind):
                    return message

    def close(self) -> None:
        self._watch.close()
        self.socket.close(linger=0)


@pytest.fixture
def member(besieged: Besieged) -> Iterator[Callable[[Role], Member]]:
    made: list[Member] = []

    def join(role: Role) -> Member:
        made.append(Member(besieged, role))
        return made[-1]

    yield join
    for each in made:
        each.close()


def _malformed(found: dict[str, Any]) -> int:
    return int(found["manager"]["malformed"])


def _at_worker(found: dict[str, Any]) -> int:
    return sum(worker["malformed"] for worker in found["workers"] if worker["id"] == "w0")


# --- who has no keys -------------------------------------------------------------------------------


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
    besieged.counts(lambda found: int(found["manager"]["refused"]), 1, before)
    assert not [push for push in data if push.poll(0, zmq.POLLOUT)], "nothing can be sent anywhere"
    for opened in (control, *data):
        opened.close(linger=0)
    watch.close()
    besieged.stands()


def test_a_manager_with_other_keys_is_not_taken_for_ours(besieged: Besieged) -> None:
    wrong = replace(besieged.connection(Role.CLIENT), server_public=new_pair().public)
    control, watch = connect_control(besieged.context, wrong)
    until(lambda: watch.read() or watch.refusal, "the handshake fails")
    control.close(linger=0)
    watch.close()
    besieged.stands()


# --- who has keys, and says nonsense ---------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.CLIENT, Role.WORKER, Role.FACTORY])
def test_nonsense_to_the_manager_is_counted(besieged: Besieged, member: Callable[[Role], Member], role: Role) -> None:
    before = _malformed(besieged.told())
    said = 0
    for name, frames in BAD_FRAMES.items():
        if name not in ("a first payload of another role", "a first payload that goes on"):  # They are a client's.
            member(role).frames(*frames)
            said += 1
    besieged.counts(_malformed, said, before)
    besieged.stands()


def test_a_frame_above_the_limit_is_not_even_read(besieged: Besieged, member: Callable[[Role], Member]) -> None:
    for role in (Role.CLIENT, Role.WORKER):
        member(role).frames(pack_header(Header(b"s" * 16, 1, 0)), bytes(config.control_bytes_max + 1))
    besieged.stands()


WORKER = HELLOS[Role.WORKER]
assert isinstance(WORKER, WorkerHello)
_AMOUNTS = {"negative": -1.0, "no number": math.nan, "without end": math.inf, "2^70": 2.0**70}
_NAMES = {"empty": "", "of 4 KiB": "x" * 4096, "a number": 7}


def _hello_with(field: int, value: object) -> bytes:
    fields = msgpack.unpackb(encode_one(WORKER))
    fields[field] = value
    return bytes(msgpack.packb([fields]))


@pytest.mark.parametrize("value", _AMOUNTS.values(), ids=_AMOUNTS.keys())
def test_absurd_resources_make_no_worker(besieged: Besieged, member: Callable[[Role], Member], value: float) -> None:
    before = _malformed(besieged.told())
    for place in range(4):
        absurd = [1.0] * 4
        absurd[place] = value
        foe = member(Role.WORKER)
        foe.frames(pack_header(Header(foe.session, 1, 0)), _hello_with(5, absurd))
    besieged.counts(_malformed, 4, before)
    assert [worker["id"] for worker in besieged.told()["workers"]] == ["w0"]


@pytest.mark.parametrize("value", _NAMES.values(), ids=_NAMES.keys())
def test_absurd_names_make_no_worker(besieged: Besieged, member: Callable[[Role], Member], value: object) -> None:
    before = _malformed(besieged.told())
    for place in (1, 2, 3):
        foe = member(Role.WORKER)
        foe.frames(pack_header(Header(foe.session, 1, 0)), _hello_with(place, value))
    besieged.counts(_malformed, 3, before)
    assert [worker["id"] for worker in besieged.told()["workers"]] == ["w0"]


@pytest.mark.parametrize("name", ["../../out", "/etc/passwd", "a\0b", "\x1b[2J", "..", "x" * 255])
def test_a_worker_of_a_strange_name_reaches_no_file(
    besieged: Besieged, member: Callable[[Role], Member], name: str
) -> None:
    before = _files_of(besieged.site.folder)
    foe = member(Role.WORKER)
    foe.says(msgspec.structs.replace(WORKER, worker_id=WorkerId(name)))
    until(lambda: name in [worker["id"] for worker in besieged.told()["workers"]], "it has joined")
    foe.says(WorkerBye("done"))
    until(lambda: name not in [worker["id"] for worker in besieged.told()["workers"]], "it has left")
    assert _files_of(besieged.site.folder) - before == set()


def _files_of(folder: Path) -> set[str]:
    """Of the manager; the worker's come and go."""
    return {str(path) for path in (folder / "run").rglob("*") if "staging" not in path.parts}


# --- who has keys, and wants what is others' -------------------------------------------------------


def test_a_second_worker_of_a_name_is_refused_while_the_first_one_lives(
    besieged: Besieged, member: Callable[[Role], Member]
) -> None:
    foe = member(Role.WORKER)
    foe.says(msgspec.structs.replace(WORKER, worker_id=WorkerId("w0")))
    refusal = foe.hears(Refused)
    assert isinstance(refusal, Refused) and "w0" in refusal.message
    besieged.stands()


def test_a_result_for_another_workers_task_is_none(besieged: Besieged, member: Callable[[Role], Member]) -> None:
    # given a task that runs on the worker, and somebody else who has joined as one
    release, notes = besieged.folder / "release", besieged.folder / "notes"
    task = on("w0", vine.PythonTask(bodies.note_and_wait, str(notes), str(release)))
    besieged.client.submit(task)
    until(notes.exists, "it runs")
    attempt = until(lambda: _attempt_of(besieged, task.id), "its attempt is known")
    foe = member(Role.WORKER)
    foe.says(
        msgspec.structs.replace(
            WORKER, worker_id=WorkerId("liar"), capacity=msgspec.structs.replace(WORKER.capacity, cores=0.0)
        )
    )
    before = besieged.told()["strange_messages"]
    # when that one says that it has ended
    lies = [AttemptResult(attempt, outcome, value=b"Plie") for outcome in (Outcome.SUCCESS, Outcome.EXCEPTION)]
    for lie in lies:
        foe.says(AttemptsEnded((lie,)))
    foe.says(WorkerBye("done"))
    until(lambda: [w["id"] for w in besieged.told()["workers"]] == ["w0"], "it has come and gone")
    # then it is the task's own end that counts
    assert besieged.told()["strange_messages"] >= before
    release.touch()
    assert besieged.client.wait(GIVE_UP_S) is task and task.successful(), task.error
    besieged.stands()


def _attempt_of(besieged: Besieged, task_id: int) -> AttemptId | None:
    with closing(sqlite3.connect(besieged.site.run_dir / file_name)) as journal:
        row = journal.execute("SELECT epoch, counter FROM attempts WHERE task_id = ?", (task_id,)).fetchone()
    return None if row is None else AttemptId(*row)


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


_TRANSFER, _OBJECT = TransferId(7, 7), ObjectId("0" * 64)
WANT = Want(_TRANSFER, _OBJECT, b"t" * 16, "tcp://127.0.0.1:9", Role.WORKER, (0,))
BAD_DATA: dict[str, list[bytes]] = {
    "nothing": [b""],
    "random bytes": [bytes(range(256))],
    "too deep": [b"\x91" * 100_000],
    "an unknown kind": [msgpack.packb(["want-2", 1])],
    "a control message": [encode_one(WORKER)],
    "a want with a frame too many": [encode_one(WANT), b"more"],
    "a chunk without its bytes": [encode_one(Chunk(_TRANSFER, 0, None))],
    "a chunk with bytes twice": [encode_one(Chunk(_TRANSFER, 0, None)), b"a", b"b"],
    "ten thousand frames": [b"x"] * 10_000,
}


@pytest.mark.parametrize("frames", BAD_DATA.values(), ids=BAD_DATA.keys())
def test_nonsense_between_transfer_nodes_is_counted(
    besieged: Besieged, edges: dict[str, list[Socket]], frames: list[bytes]
) -> None:
    found = besieged.told()
    at_manager, at_worker = _malformed(found), _at_worker(found)
    for edge in [each for theirs in edges.values() for each in theirs]:
        edge.send_multipart(frames)
    besieged.counts(_malformed, 2, at_manager)
    besieged.counts(_at_worker, 2, at_worker)
    besieged.stands()


def test_a_flood_of_wants_without_authority_is_counted_and_answers_nobody(
    besieged: Besieged, edges: dict[str, list[Socket]]
) -> None:
    before = besieged.told()["manager"]["unauthorised"]
    flood = encode_one(WANT)
    for edge in edges["manager"] + edges["worker"]:
        for _ in range(2000):
            assert edge.poll(1000 * GIVE_UP_S, zmq.POLLOUT)
            edge.send(flood)
    besieged.counts(lambda found: int(found["manager"]["unauthorised"]), 2000, before)
    assert besieged.told()["manager"]["flows_out"] == 0
    besieged.stands()


def test_a_flood_of_registrations_is_one_peer_a_connection(
    besieged: Besieged, member: Callable[[Role], Member]
) -> None:
    # given a client, a worker and a factory that register a thousand times each, under ever new names and sessions
    before = _malformed(besieged.told())
    for role in (Role.CLIENT, Role.WORKER, Role.FACTORY):
        foe = member(role)
        for number in range(1000):
            hello = HELLOS[role]
            if isinstance(hello, WorkerHello):
                none = msgspec.structs.replace(hello.capacity, cores=0.0)
                hello = msgspec.structs.replace(hello, worker_id=WorkerId(f"flood-{number}"), capacity=none)
            foe.session, foe._said = os.urandom(16), 0
            foe.says(hello)
    # then each connection has one
    besieged.counts(_malformed, 3 * 999, before)
    found = besieged.told()
    assert len(found["workers"]) <= 2 and found["clients"] <= 3 and len(found["factories"]) <= 1
    besieged.stands()
    # and who has registered a thousand times in one session is one, too
    foe = member(Role.WORKER)
    hello = msgspec.structs.replace(WORKER, worker_id=WorkerId("again"), host_id=HostId("h2"))
    for _ in range(1000):
        foe.says(hello)
    foe.says(WorkerBye("done"))
    until(lambda: "again" not in [worker["id"] for worker in besieged.told()["workers"]], "it has left")
    besieged.stands()
