"""Receivers and senders together in virtual time, over a network that loses, repeats and reorders."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.transfer.named import edge
from vine import config
from vine.names import ObjectId, TransferId
from vine.transfer import receiver as pull
from vine.transfer import sender as serve
from vine.wire.data import CancelWants, Chunk, EndOfWants, RefusalReason, Want, WantRefused
from vine.wire.parts import Role, SourceEdge

OBJECT = ObjectId("a" * 64)


@dataclass
class Node:
    """What node.py is, with a set for a disk."""

    name: str
    sender: serve.Sender
    receiver: pull.Receiver | None = None
    transfer: TransferId | None = None
    stored: set[int] = field(default_factory=set)
    complete: bool = False
    dead: bool = False
    chunk_s: float = 0.0  # how long its uplink takes for a chunk
    free_at: float = 0.0  # ... and when that is free again
    buffers: bool = False  # What is to be sent leaves for the network at once, which keeps it until it can go.
    sent: int = 0
    strays: int = 0  # chunks that came and were not wanted, of all its transfers
    asked: dict[SourceEdge, set[int]] = field(default_factory=dict)  # what was ever wanted of whom
    failures: list[pull.Fail] = field(default_factory=list)
    slow: list[SourceEdge] = field(default_factory=list)
    done_at: float = 0.0

    @property
    def reply_to(self) -> str:
        return f"tcp://{self.name}:1"


@dataclass
class Faults:
    """What may still go wrong, as budgets: each is used up at random moments."""

    lost: int = 0
    repeated: float = 0.0  # share of messages
    damaged: int = 0
    delay_s: tuple[float, float] = (0.001, 0.001)


Plan = tuple[Sequence[SourceEdge], Sequence[SourceEdge | None]]


class World:
    """A clock, a heap of what is under way, and dice for what happens to it."""

    def __init__(self, seed: int, chunks: int, cap: int, faults: Faults | None = None) -> None:
        self.dice = random.Random(seed)
        self.chunks = chunks
        self.cap = cap
        self.faults = faults or Faults()
        self.now = 0.0
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.nodes: dict[str, Node] = {}
        self.transfers = 0
        self.plan_again: Callable[[str], Plan] | None = None  # what the manager orders when a transfer has failed

    def add(self, name: str, holder: bool = False, chunk_s: float = 0.0) -> Node:
        node = self.nodes[name] = Node(name, serve.Sender(self.cap), chunk_s=chunk_s)
        if holder:
            node.complete, node.stored = True, set(range(self.chunks))
            node.sender.complete(OBJECT, self.chunks, self.now)
        return node

    def pull(self, name: str, sources: Sequence[SourceEdge], backups: Sequence[SourceEdge | None] = ()) -> Node:
        node = self.nodes[name]
        self.transfers += 1
        node.transfer = TransferId(1, self.transfers)
        node.receiver = pull.Receiver(self.chunks, node.stored, sources, backups, self.now)
        self.serve(node, node.sender.receiving(OBJECT, self.chunks, node.stored, self.now))
        self.act(node, node.receiver.start(self.now))
        return node

    def change(self, name: str, sources: Sequence[SourceEdge], backups: Sequence[SourceEdge | None] = ()) -> None:
        node = self.nodes[name]
        if node.receiver is not None and not node.dead:
            self.act(node, node.receiver.change(sources, backups, self.now))

    def die(self, name: str) -> None:
        self.nodes[name].dead = True

    # --- the network ---

    def at(self, delay_s: float, event: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.now + delay_s, self.count, event))

    def say(self, speaker: Node, to: str, event: Callable[[], None]) -> None:
        """Let it happen at the other end, or not."""
        name = to.removeprefix("tcp://").split(":")[0]
        if self.nodes[name].dead:
            self.at(config.edge_silence_s, lambda: self._unreachable(speaker, to))
            return
        if self.faults.lost and self.dice.random() < 0.2:
            self.faults.lost -= 1
            return
        self.at(self.dice.uniform(*self.faults.delay_s), event)
        if self.faults.repeated and self.dice.random() < self.faults.repeated:
            self.at(self.dice.uniform(0.001, 0.5), event)

    def _unreachable(self, speaker: Node, endpoint: str) -> None:
        speaker.sender.unreachable(endpoint)
        if speaker.receiver is not None and not speaker.dead:
            self.act(speaker, speaker.receiver.unreachable(endpoint, self.now))

    # --- the receiving end ---

    def act(self, node: Node, actions: list[pull.Action]) -> None:
        transfer, receiver = node.transfer, node.receiver
        assert transfer is not None and receiver is not None
        for action in actions:
            if isinstance(action, pull.SendWant):
                assert list(action.chunks) == sorted(set(action.chunks)), "ascending, each once"
                assert receiver.outstanding(action.source) <= config.credit_chunks_max
                self._want(node, transfer, action)
            elif isinstance(action, pull.SendCancel):
                cancel = CancelWants(transfer, action.source.token, action.chunks)
                self._to_source(node, action.source, lambda source, cancel=cancel: self._cancelled(source, cancel))
            elif isinstance(action, pull.SendEnd):
                end = EndOfWants(transfer, action.source.token)
                self._to_source(
                    node, action.source, lambda source, end=end: source.sender.end(end.transfer_id, end.token)
                )
            elif isinstance(action, pull.ReportSlow):
                self._check_blame(node, action.source)
                node.slow.append(action.source)
            elif isinstance(action, pull.StoreChunk):
                ok = not (self.faults.damaged and self.dice.random() < 0.2)
                self.faults.damaged -= not ok
                index = action.index
                self.at(
                    self.dice.uniform(0.0, self.faults.delay_s[1] / 5),
                    lambda index=index, ok=ok: self._stored(node, receiver, index, ok),
                )
            elif isinstance(action, pull.Complete):
                assert node.stored == set(range(self.chunks))
                node.complete, node.done_at = True, self.now
                self.serve(node, node.sender.complete(OBJECT, self.chunks, self.now))
            else:
                node.failures.append(action)
                assert self.plan_again is not None, f"{node.name} has failed: {action}"
                self.pull(node.name, *self.plan_again(node.name))

    def _want(self, node: Node, transfer: TransferId, action: pull.SendWant) -> None:
        source = action.source
        node.asked.setdefault(source, set()).update(action.chunks)
        want = Want(
            transfer, OBJECT, source.token, node.reply_to, Role.WORKER, action.chunks, action.edge, action.stripes,
            action.backup,
        )  # fmt: skip
        self._to_source(node, source, lambda at: self.serve(at, at.sender.want(want, True, self.now)))

    def _to_source(self, node: Node, source: SourceEdge, event: Callable[[Node], None]) -> None:
        there = self.nodes[str(source.source)]
        self.say(node, source.requests_endpoint, lambda: None if there.dead else event(there))

    def _check_blame(self, node: Node, blamed: SourceEdge) -> None:
        there = self.nodes[str(blamed.source)]
        has = there.stored.intersection(node.asked.get(blamed, ())) - node.stored
        could_have = {index for source in there.asked for index in self.nodes[str(source.source)].stored} - node.stored
        assert there.dead or has or could_have, "blamed for what it neither has nor could have"

    @staticmethod
    def _cancelled(source: Node, cancel: CancelWants) -> None:
        source.sender.cancel(cancel.transfer_id, cancel.token, cancel.chunks)

    def _stored(self, node: Node, receiver: pull.Receiver, index: int, ok: bool) -> None:
        if node.dead:
            return
        if ok:
            node.stored.add(index)
            self.serve(node, node.sender.available(OBJECT, index))
        if node.receiver is receiver and not receiver.over:
            self.act(node, receiver.stored(index, ok, self.now))

    # --- the sending end ---

    def serve(self, node: Node, actions: list[serve.Action]) -> None:
        for action in actions:
            if isinstance(action, serve.SendChunk):
                assert action.index in node.stored, "only verified chunks are passed on"
                node.free_at = max(node.free_at, self.now) + node.chunk_s
                waits_s = node.free_at - self.now
                if node.buffers:
                    self._leave(node, action, waits_s)
                else:
                    self.at(waits_s, lambda action=action: self._leave(node, action))
            else:
                refusal = WantRefused(action.transfer_id, action.edge, action.reason)
                self._to_receiver(node, action.reply_to, refusal)

    def _leave(self, node: Node, action: serve.SendChunk, underway_s: float = 0.0) -> None:
        if node.dead:
            return
        if node.sender.is_wanted(action.transfer_id, action.index):
            node.sent += 1
            owed = not node.complete and node.receiver is not None and node.receiver.is_owed(action.index)
            chunk = Chunk(action.transfer_id, action.index, action.have, action.edge, owed)
            self.at(underway_s, lambda: self._to_receiver(node, action.reply_to, chunk))
        node.sender.sent(action.transfer_id, action.index)

    def _to_receiver(self, speaker: Node, reply_to: str, message: Chunk | WantRefused) -> None:
        there = self.nodes[reply_to.removeprefix("tcp://").split(":")[0]]
        self.say(speaker, reply_to, lambda: self._hear(there, message))

    def _hear(self, node: Node, message: Chunk | WantRefused) -> None:
        receiver = node.receiver
        if node.dead or receiver is None or message.transfer_id != node.transfer:
            return
        if isinstance(message, WantRefused):
            assert isinstance(message.reason, RefusalReason)
            self.act(node, receiver.refused(message.edge, message.reason, self.now))
        else:
            before = receiver.unsolicited
            self.act(node, receiver.chunk(message.edge, message.index, message.have, self.now, message.owed))
            node.strays += receiver.unsolicited - before

    # --- time ---

    def check(self) -> None:
        for node in self.nodes.values():
            assert node.sender.flows() <= self.cap
            if node.receiver is not None:
                for source in self.nodes:
                    assert node.receiver.outstanding(edge(source)) <= config.credit_chunks_max

    def living(self) -> list[Node]:
        return [node for node in self.nodes.values() if not node.dead]

    def run(self) -> None:
        for _ in range(300_000):
            if all(node.complete for node in self.living()):
                return
            machines = [machine for node in self.living() for machine in (node.sender, node.receiver) if machine]
            deadlines = [at for machine in machines if (at := machine.next_deadline()) is not None]
            if self.heap and self.heap[0][0] <= min(deadlines, default=self.heap[0][0]):
                self.now, _, event = heapq.heappop(self.heap)
                event()
            else:
                assert deadlines, "nothing under way and nobody waits: a deadlock"
                self.now = max(self.now, min(deadlines))
                for node in self.living():
                    self.serve(node, node.sender.tick(self.now))
                    if node.receiver is not None:
                        self.act(node, node.receiver.tick(self.now))
            self.check()
        raise AssertionError("it does not end")
