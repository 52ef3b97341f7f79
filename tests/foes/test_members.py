"""Who has keys of the run and says nonsense is counted, gets nothing that is others', and disturbs nobody."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgpack
import msgspec
import pytest
import zmq

import vine
from tests.foes.siege import Besieged, Member, malformed, malformed_at_worker
from tests.live import bodies
from tests.live.helpers import on
from tests.waiting import GIVE_UP_S, until
from tests.wire.live import HELLOS
from tests.wire.test_hub import BAD_FRAMES
from vine import config
from vine.manager.journal import file_name
from vine.names import AttemptId, HostId, ObjectId, TransferId, WorkerId
from vine.wire.codec import encode_one
from vine.wire.data import Chunk, Want
from vine.wire.messages import Refused
from vine.wire.parts import AttemptResult, Outcome, Resources, Role
from vine.wire.session import Header, pack_header
from vine.wire.sockets import Socket
from vine.wire.worker_messages import AttemptsEnded, WorkerBye, WorkerHello

pytestmark = pytest.mark.live


@pytest.mark.parametrize("role", [Role.CLIENT, Role.WORKER, Role.FACTORY])
def test_nonsense_to_the_manager_is_counted(besieged: Besieged, member: Callable[[Role], Member], role: Role) -> None:
    before = malformed(besieged.told())
    said = 0
    for name, frames in BAD_FRAMES.items():
        if name not in ("a first payload of another role", "a first payload that goes on"):  # They are a client's.
            member(role).frames(*frames)
            said += 1
    besieged.counts(malformed, said, before)
    besieged.stands()


def test_a_frame_above_the_limit_is_not_even_read(besieged: Besieged, member: Callable[[Role], Member]) -> None:
    for role in (Role.CLIENT, Role.WORKER):
        member(role).frames(pack_header(Header(b"s" * 16, 1, 0)), bytes(config.control_bytes_max + 1))
    besieged.stands()


WORKER = HELLOS[Role.WORKER]
assert isinstance(WORKER, WorkerHello)
NOTHING = Resources()  # Who has nothing gets no tasks that others would wait for.
_AMOUNTS = {"negative": -1.0, "no number": math.nan, "without end": math.inf, "2^70": 2.0**70}
_NAMES = {"empty": "", "of 4 KiB": "x" * 4096, "a number": 7}


def _hello_with(field: int, value: object) -> bytes:
    fields = msgpack.unpackb(encode_one(WORKER))
    fields[field] = value
    return bytes(msgpack.packb([fields]))


@pytest.mark.parametrize("value", _AMOUNTS.values(), ids=_AMOUNTS.keys())
def test_absurd_resources_make_no_worker(besieged: Besieged, member: Callable[[Role], Member], value: float) -> None:
    before = malformed(besieged.told())
    for place in range(4):
        absurd = [1.0] * 4
        absurd[place] = value
        foe = member(Role.WORKER)
        foe.frames(pack_header(Header(foe.session, 1, 0)), _hello_with(5, absurd))
    besieged.counts(malformed, 4, before)
    assert [worker["id"] for worker in besieged.told()["workers"]] == ["w0"]


@pytest.mark.parametrize("value", _NAMES.values(), ids=_NAMES.keys())
def test_absurd_names_make_no_worker(besieged: Besieged, member: Callable[[Role], Member], value: object) -> None:
    before = malformed(besieged.told())
    for place in (1, 2, 3):
        foe = member(Role.WORKER)
        foe.frames(pack_header(Header(foe.session, 1, 0)), _hello_with(place, value))
    besieged.counts(malformed, 3, before)
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
    # when that one says that it has ended
    lies = [AttemptResult(attempt, outcome, value=b"Plie") for outcome in (Outcome.SUCCESS, Outcome.EXCEPTION)]
    for lie in lies:
        foe.says(AttemptsEnded((lie,)))
    foe.says(WorkerBye("done"))
    until(lambda: [w["id"] for w in besieged.told()["workers"]] == ["w0"], "it has come and gone")
    # then it is the task's own end that counts
    release.touch()
    assert besieged.client.wait(GIVE_UP_S) is task and task.successful(), task.error
    besieged.stands()


def _attempt_of(besieged: Besieged, task_id: int) -> AttemptId | None:
    with closing(sqlite3.connect(besieged.site.run_dir / file_name)) as journal:
        row = journal.execute("SELECT epoch, counter FROM attempts WHERE task_id = ?", (task_id,)).fetchone()
    return None if row is None else AttemptId(*row)


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


def test_nonsense_between_transfer_nodes_is_counted(besieged: Besieged, edges: dict[str, list[Socket]]) -> None:
    found = besieged.told()
    at_manager, at_worker = malformed(found), malformed_at_worker(found)
    for edge in edges["manager"] + edges["worker"]:
        for frames in BAD_DATA.values():
            edge.send_multipart(frames)
    besieged.counts(malformed, 2 * len(BAD_DATA), at_manager)
    besieged.counts(malformed_at_worker, 2 * len(BAD_DATA), at_worker)
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
    before = malformed(besieged.told())
    for role in (Role.CLIENT, Role.WORKER, Role.FACTORY):
        foe = member(role)
        for number in range(1000):
            hello = HELLOS[role]
            if isinstance(hello, WorkerHello):
                hello = msgspec.structs.replace(hello, worker_id=WorkerId(f"flood-{number}"), capacity=NOTHING)
            foe.session, foe._said = os.urandom(16), 0
            foe.says(hello)
    # then each connection has one
    besieged.counts(malformed, 3 * 999, before)
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
