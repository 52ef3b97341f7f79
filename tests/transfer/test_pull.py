"""Receivers and senders together, over a network that loses, repeats and reorders."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from vine import config
from vine.names import ObjectId, TransferId
from vine.transfer import receiver as pull
from vine.transfer import sender as serve
from vine.wire.data import RefusalReason, Want
from vine.wire.messages import Role

OBJECT = ObjectId("a" * 64)
TOKEN = b"t" * 16


@dataclass
class Node:
    """What node.py is, with a dictionary for a disk."""

    name: str
    sender: serve.Sender
    receiver: pull.Receiver | None = None
    sources: tuple[str, ...] = ()
    transfer: TransferId | None = None
    stored: set[int] = field(default_factory=set)
    complete: bool = False
    transfers: int = 0
    failures: int = 0


class World:
    """A clock, a heap of what is under way, and dice for what happens to it."""

    def __init__(self, seed: int, chunks: int, cap: int, faults: int, bad: int) -> None:
        self.dice = random.Random(seed)
        self.chunks = chunks
        self.cap = cap
        self.faults = faults  # how many messages may still be lost; each may be repeated or late at any time
        self.bad = bad  # how many chunks may still arrive damaged
        self.now = 0.0
        self.heap: list[tuple[float, int, object]] = []
        self.count = 0
        self.nodes: dict[str, Node] = {}
        self.transfers = 0

    def add(self, name: str, holder: bool = False) -> None:
        node = self.nodes[name] = Node(name, serve.Sender(self.cap))
        if holder:
            node.complete = True
            node.sender.complete(OBJECT, self.chunks, self.now)

    def pull(self, name: str, *sources: str) -> None:
        node = self.nodes[name]
        self.transfers += 1
        node.transfer, node.sources = TransferId(1, self.transfers), sources
        node.receiver = pull.Receiver(self.chunks, node.stored, len(sources))
        self.serve(node, node.sender.receiving(OBJECT, self.chunks, node.stored, self.now))
        self.act(node, node.receiver.start(self.now))

    def post(self, delay: float, event: object) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.now + delay, self.count, event))

    def say(self, event: object) -> None:
        if self.faults and self.dice.random() < 0.2:
            self.faults -= 1
            return
        self.post(self.dice.uniform(0.001, 0.05), event)
        if self.dice.random() < 0.1:
            self.post(self.dice.uniform(0.001, 0.5), event)

    def act(self, node: Node, actions: list[pull.Action]) -> None:
        for action in actions:
            if isinstance(action, pull.SendWant):
                assert list(action.chunks) == sorted(action.chunks)
                want = Want(node.transfer, OBJECT, TOKEN, f"tcp://{node.name}:1", Role.WORKER, action.chunks)
                self.say(("want", node.sources[action.source], want))
            elif isinstance(action, pull.SendEnd):
                self.say(("end", node.sources[action.source], node.transfer))
            elif isinstance(action, pull.StoreChunk):
                ok = not (self.bad and self.dice.random() < 0.2)
                self.bad -= not ok
                self.post(self.dice.uniform(0.0, 0.01), ("stored", node.name, node.transfer, action.index, ok))
            elif isinstance(action, pull.Complete):
                assert node.stored == set(range(self.chunks))
                node.complete = True
                self.serve(node, node.sender.complete(OBJECT, self.chunks, self.now))
            else:
                node.failures += 1
                self.pull(node.name, *node.sources)  # as the manager would: the same again, with what is here

    def serve(self, node: Node, actions: list[serve.Action]) -> None:
        for action in actions:
            child = action.reply_to[6:-2]
            if isinstance(action, serve.SendChunk):
                assert node.complete or action.index in node.stored, "only verified chunks are passed on"
                self.say(("chunk", child, action.transfer_id, action.index, action.have))
                self.post(self.dice.uniform(0.0, 0.01), ("sent", node.name, action.transfer_id, action.index))
            else:
                self.say(("refused", child, action.transfer_id, action.index, action.reason))

    def hear(self, kind: str, name: str, *what: object) -> None:
        node = self.nodes[name]
        if kind == "want":
            self.serve(node, node.sender.want(what[0], True, self.now))
        elif kind == "end":
            node.sender.end(what[0], TOKEN)
        elif kind == "sent":
            node.sender.sent(*what)
        elif node.receiver is not None and what[0] == node.transfer:
            self.hear_as_receiver(node, node.receiver, kind, *what[1:])

    def hear_as_receiver(self, node: Node, receiver: pull.Receiver, kind: str, index: int, value: object) -> None:
        if kind == "chunk":
            self.act(node, receiver.chunk(index, value, self.now))
        elif kind == "refused":
            assert isinstance(value, RefusalReason)
            self.act(node, receiver.refused(index, value, self.now))
        elif receiver.over:
            return  # the answer of the disk to a transfer that has ended
        else:
            if value:
                node.stored.add(index)
                self.serve(node, node.sender.available(OBJECT, index))
            self.act(node, receiver.stored(index, value, self.now))

    def check(self) -> None:
        for node in self.nodes.values():
            assert node.sender.flows() <= self.cap
            if node.receiver is not None:
                for source in range(len(node.sources)):
                    assert node.receiver.outstanding(source) <= config.credit_chunks

    def run(self) -> None:
        for _ in range(200_000):
            if all(node.complete for node in self.nodes.values()):
                return
            machines = [node.sender for node in self.nodes.values()]
            machines += [node.receiver for node in self.nodes.values() if node.receiver]
            deadlines = [at for machine in machines if (at := machine.next_deadline()) is not None]
            if self.heap and self.heap[0][0] <= min(deadlines, default=self.heap[0][0]):
                self.now, _, event = heapq.heappop(self.heap)
                self.hear(*event)
            else:
                assert deadlines, "nothing under way and nobody waits: a deadlock"
                self.now = max(self.now, min(deadlines))
                for node in self.nodes.values():
                    self.serve(node, node.sender.tick(self.now))
                    if node.receiver is not None:
                        self.act(node, node.receiver.tick(self.now))
            self.check()
        raise AssertionError("it does not end")


seeds = st.integers(0, 2**32)
chunk_counts = st.integers(0, 60)


@given(seeds, chunk_counts, st.integers(0, 30), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_pull_completes_whatever_the_network_loses_repeats_and_reorders(
    seed: int, chunks: int, faults: int, bad: int
) -> None:
    world = World(seed, chunks, cap=3, faults=faults, bad=bad)
    world.add("m", holder=True)
    world.add("a")
    world.pull("a", "m")
    world.run()


@given(seeds, chunk_counts, st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_a_line_of_nodes_that_all_still_receive_completes(seed: int, chunks: int, faults: int) -> None:
    world = World(seed, chunks, cap=1, faults=faults, bad=0)
    world.add("m", holder=True)
    for name in "abcd":
        world.add(name)
    for name, source in ("dc", "cb", "ba", "am"):  # the last first: its wants come before the object is known
        world.pull(name, source)
    world.run()


@given(seeds, chunk_counts, st.integers(1, 3), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_many_that_want_of_few_take_turns_under_the_cap(seed: int, chunks: int, cap: int, faults: int) -> None:
    world = World(seed, chunks, cap, faults, bad=0)
    for name in "mn":
        world.add(name, holder=True)
    for name in "abcdef":
        world.add(name)
    for name in "abcdef":
        world.pull(name, "m", "n")
    world.run()
    assert all(world.nodes[name].sender.flows_max <= cap for name in "mn")


def test_without_faults_nothing_is_asked_twice_or_fails() -> None:
    world = World(seed=1, chunks=50, cap=3, faults=0, bad=0)
    world.dice.random = lambda: 1.0
    world.add("m", holder=True)
    for name in "abc":
        world.add(name)
        world.pull(name, "m")
    world.run()
    for name in "abc":
        node = world.nodes[name]
        assert (node.failures, node.receiver.unsolicited) == (0, 0)
    assert world.now < config.want_again_s
