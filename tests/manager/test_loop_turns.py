"""Single turns of the loop with a clock, a hub and a node of the test's own."""

from __future__ import annotations

import threading
from collections import Counter, deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.scheduler.world import World as SchedulerWorld
from tests.waiting import until
from vine import config
from vine.manager.chores import Chores
from vine.manager.loop import Loop, World
from vine.manager.objects import ServedFiles
from vine.manager.watched import Part, WatchedOutputs
from vine.names import HostId, ObjectId, PeerKey, TransferId, WorkerId
from vine.scheduler.actions import AbandonLocal, Fetch, Send, WritePart
from vine.scheduler.core import Scheduler
from vine.transfer.events import NodeFailed, NodeStats
from vine.transfer.mailbox import Mailbox
from vine.wire import messages as m
from vine.wire.parts import Manifest, Resources, Role
from vine.wire.worker_messages import EndWorker, FetchObject, TasksStarted, WorkerBye, WorkerHello

WORKER = PeerKey("worker")
STRANGER = PeerKey("stranger")

HELLO = WorkerHello(
    WorkerId("w1"), HostId("h"), "node7", 1, Resources(1), (), "3.11", "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"
)


class Hub:
    def __init__(self) -> None:
        self.incoming: list[tuple[PeerKey, Role, list[m.Message]]] = []
        self.heard_at: dict[PeerKey, float] = {}
        self.cut_at: dict[PeerKey, float] = {}
        self.overflowing: set[PeerKey] = set()
        self.forgotten: list[PeerKey] = []
        self.sent: list[tuple[PeerKey, m.Message]] = []
        self.flushed: list[int] = []  # how much had been said at each flush
        self.malformed: Counter[str] = Counter()

    def receive(self, now: float) -> list[tuple[PeerKey, Role, list[m.Message]]]:
        taken, self.incoming = self.incoming, []
        return taken

    def knows(self, peer: PeerKey) -> bool:
        return peer not in self.forgotten

    def silent_since(self, peer: PeerKey) -> float:
        return self.heard_at[peer]

    def cut_since(self, peer: PeerKey) -> float | None:
        return self.cut_at.get(peer)

    def overflown(self, peer: PeerKey) -> bool:
        return peer in self.overflowing

    def forget(self, peer: PeerKey) -> None:
        self.forgotten.append(peer)

    def send(self, peer: PeerKey, message: m.Message) -> None:
        self.sent.append((peer, message))

    def flush(self, now: float) -> None:
        self.flushed.append(len(self.sent))


class Node:
    def __init__(self) -> None:
        self.fetching: list[TransferId] = []

    def fetch(self, order: FetchObject, begin: object) -> None:
        self.fetching.append(order.transfer_id)

    def abandon(self, transfer_id: TransferId) -> None:
        pass

    def stats(self) -> NodeStats:
        return NodeStats(0, {}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Journal:
    def __init__(self) -> None:
        self.snapshots: list[dict[str, Any]] = []

    def record(self, record: object, at_s: float) -> None:
        pass

    def statistics(self, snapshot: dict[str, Any], at_s: float) -> None:
        self.snapshots.append(snapshot)


class Turns:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.hub, self.journal = Hub(), Journal()
        self.events: deque[Any] = deque()
        self.mailbox = Mailbox()
        monkeypatch.setattr("vine.manager.loop.time.monotonic", lambda: self.now)
        gate, chores = SimpleNamespace(refused=0), Chores(folder)
        self.node, watched = Node(), WatchedOutputs(self.mailbox.post)
        world: Any = World(
            gate, self.hub, self.journal, ServedFiles(), self.node, self.events, self.mailbox, chores, watched, None  # type: ignore[arg-type]
        )  # fmt: skip
        self.loop = Loop(world, Scheduler(SchedulerWorld().settings))

    def turn(self, at: float, *ready: Any) -> None:
        self.now = at
        self.loop._turn(dict.fromkeys(ready, 1))

    def meet(self, peer: PeerKey, *messages: m.Message) -> None:
        self.hub.incoming.append((peer, Role.WORKER, list(messages)))
        self.hub.heard_at[peer] = self.now
        self.turn(self.now)


@pytest.fixture
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Turns:
    return Turns(tmp_path, monkeypatch)


def test_a_worker_whose_session_lives_is_kept_though_it_has_nothing_to_say(turns: Turns) -> None:
    turns.meet(WORKER, HELLO)
    later = turns.now + 10 * config.worker_lost_after_s
    turns.hub.heard_at[WORKER] = later - 1
    turns.turn(later)
    assert turns.hub.forgotten == []


def test_a_silent_worker_is_given_up(turns: Turns) -> None:
    turns.meet(WORKER, HELLO)
    turns.turn(turns.now + config.worker_lost_after_s + 2)
    assert turns.hub.forgotten == [WORKER]
    turns.turn(turns.now + 100)
    assert turns.hub.forgotten == [WORKER]


def test_a_worker_that_has_hung_up_is_soon_given_up(turns: Turns) -> None:
    turns.meet(WORKER, HELLO)
    turns.hub.cut_at[WORKER] = turns.now + 1
    turns.turn(turns.now + 1 + config.worker_cut_off_s + 1)
    assert turns.hub.forgotten == [WORKER]


def test_a_worker_that_reads_nothing_is_given_up(turns: Turns) -> None:
    turns.meet(WORKER, HELLO)
    turns.hub.overflowing.add(WORKER)
    turns.turn(turns.now + 2)
    assert turns.hub.forgotten == [WORKER]


def test_who_never_says_hello_is_forgotten_when_it_falls_silent(turns: Turns) -> None:
    turns.meet(STRANGER, TasksStarted(()))
    turns.turn(turns.now + config.manager_lost_after_s - 1)
    assert turns.hub.forgotten == []
    turns.turn(turns.now + 2)
    assert turns.hub.forgotten == [STRANGER]


def test_the_views_get_a_row_a_second_and_not_more(turns: Turns) -> None:
    for tenth in range(31):
        turns.turn(2000.0 + tenth / 10)
    assert len(turns.journal.snapshots) == 4
    assert turns.journal.snapshots[0]["manager"]["malformed"] == 0


def test_the_failure_of_the_transfer_node_is_not_passed_over(turns: Turns) -> None:
    turns.mailbox.post(turns.events.append, NodeFailed("the node has failed: KeyError(1)"))
    with pytest.raises(AssertionError, match="the node has failed"):
        turns.turn(turns.now, turns.mailbox.fileno())


def test_the_first_reason_to_stop_is_the_one_that_is_told(turns: Turns) -> None:
    turns.meet(WORKER, HELLO)
    turns.loop.stop("first")
    turns.loop.stop("second")
    turns.turn(turns.now, turns.mailbox.fileno())
    assert (WORKER, EndWorker("first")) in turns.hub.sent
    assert turns.loop._end_reason == "first"


def test_what_a_peer_says_after_its_farewell_is_passed_over(turns: Turns) -> None:
    turns.meet(WORKER, HELLO)
    turns.hub.incoming.append((WORKER, Role.WORKER, [WorkerBye("told to end")]))
    turns.hub.incoming.append((WORKER, Role.WORKER, [TasksStarted(())]))
    turns.turn(turns.now)
    del turns.hub.heard_at[WORKER]
    turns.turn(turns.now + 2)
    assert turns.hub.forgotten == [WORKER]


def test_what_a_long_turn_decides_is_sent_before_all_is_heard(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a scheduler that takes its time for each message, and answers it
    def decide(peer: PeerKey, message: m.Message, now: float) -> list[Send]:
        turns.now += 0.6 * config.unsent_hold_s
        return [Send(peer, EndWorker("told"))]

    monkeypatch.setattr(turns.loop._scheduler, "handle", decide)
    # when five are there at once
    turns.meet(WORKER, *[TasksStarted(())] * 5)
    # then none of the answers has waited much longer than it should, and few have gone alone
    assert turns.hub.flushed == [2, 4, 5]


def test_a_path_at_which_a_file_system_hangs_holds_up_nothing_but_the_output_that_comes_there(
    turns: Turns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a part of a watched output whose writing hangs
    hangs, may_go = threading.Event(), threading.Event()

    def hang(part: Part) -> None:
        hangs.set()
        assert may_go.wait(30)

    monkeypatch.setattr("vine.manager.watched.write_part", hang)
    turns.loop.begin([WritePart(str(tmp_path / "log"), 0, b"first")])
    assert hangs.wait(30)
    # when that output, another one, and one that is given up are to be brought
    orders = [FetchObject(TransferId(1, number), ObjectId("o"), Manifest(1, 1, 1, b""), ()) for number in range(3)]
    turns.loop.begin([Fetch(orders[0], str(tmp_path / "log")), Fetch(orders[1], str(tmp_path / "other"))])
    turns.loop.begin([Fetch(orders[2], str(tmp_path / "log")), AbandonLocal(orders[2].transfer_id)])
    # then turns go on, the other one comes, and the first when nothing hangs any more
    turns.meet(WORKER, HELLO)
    assert turns.hub.sent and turns.node.fetching == [orders[1].transfer_id]
    may_go.set()
    until(lambda: turns.turn(turns.now, turns.mailbox.fileno()) or len(turns.node.fetching) > 1, "it comes")
    assert turns.node.fetching == [orders[1].transfer_id, orders[0].transfer_id]
