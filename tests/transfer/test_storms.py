"""Forests of thousands of nodes, where some come, leave, complete, hold parts and are called slow at random."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.transfer.test_forest import depth_bound, grown, line_up, planted, sources
from vine import config
from vine.names import MANAGER, WorkerId
from vine.transfer.forest import Forest
from vine.transfer.trees import Slots

ALL = frozenset(range(3))


class Storm:
    """A forest whose slots are its own, and what must hold of it whatever happens."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.slots = Slots(config.source_transfers_max)
        self.forest: Forest = planted(self.slots)
        self.wanting: list[WorkerId] = []
        self.holding: list[WorkerId] = []
        self.has: dict[WorkerId, frozenset[int]] = {MANAGER: ALL}  # by stripe
        self.now = 0.0
        self.number = 0

    def join(self) -> None:
        self.number += 1
        node = WorkerId(f"w{self.number}")
        self.forest.join(node, self.now, rank=self.dice.randint(-3, 8))
        self.wanting.append(node)

    def hold_a_part(self) -> None:
        self.number += 1
        node = WorkerId(f"w{self.number}")
        stripes = frozenset(self.dice.sample(range(3), self.dice.randint(1, 2)))
        self.forest.hold(node, rank=self.dice.randint(-3, 8), stripes=stripes)
        self.holding.append(node)
        self.has[node] = stripes

    def happen(self) -> None:
        """One of all that may."""
        self.now += self.dice.choice((0.0, 0.0, 0.01, 2.0))
        kind = self.dice.random()
        if kind < 0.3 or not self.wanting:
            self.join()
        elif kind < 0.6:
            self.forest.leave(self.wanting.pop(self.dice.randrange(len(self.wanting))))
        elif kind < 0.8:
            self.accuse()
        elif kind < 0.9:
            self.finish()
        elif kind < 0.95 or not self.holding:
            self.hold_a_part()
        else:
            self.forest.leave(self.holding.pop(self.dice.randrange(len(self.holding))))

    def accuse(self) -> None:
        child = self.dice.choice(self.wanting)
        edges = self.forest.sources(child)
        if edges:
            parent = self.dice.choice(edges).parent
            assert parent is not None
            self.forest.accuse(parent, child)

    def finish(self) -> None:
        node = self.dice.choice(self.wanting)
        if self.forest.sources(node):
            self.wanting.remove(node)
            self.forest.finish(node)
            self.holding.append(node)
            self.has[node] = ALL

    def check(self) -> None:
        """Everybody is fed with every stripe by a line that ends at who has it, and nobody serves more than its cap."""
        tree = sources(self.forest)
        self.forest.retry()
        assert not list(self.forest.waiting()), "somebody waits though each newcomer brings three slots"
        assert {child for child, _ in tree} == set(self.wanting) and len(tree) == 3 * len(self.wanting)
        ends = {MANAGER, *self.holding}
        for child, stripe in tree:
            end = line_up(tree, child, stripe)[-1]
            assert end in ends and stripe in self.has[end], f"{child} cannot reach stripe {stripe}"
        flows = Counter(parent for parent, _ in {(parent, child) for (child, _), parent in tree.items()})
        assert flows == self.slots.used and max(flows.values(), default=0) <= self.slots.cap
        for edge in self.forest.edges():
            assert edge.backup != edge.child and (edge.backup is None or edge.backup in self.forest)

    def depth(self) -> int:
        tree = sources(self.forest)
        return max((len(line_up(tree, child, stripe)) for child, stripe in tree), default=0)


@given(st.integers(1, 3000), st.integers(0, 1 << 30))
@example(3000, 1)
@settings(max_examples=12, deadline=None)
def test_whatever_happens_to_a_forest_everybody_is_fed_through_low_trees(count: int, seed: int) -> None:
    # given a forest of so many, of any ranks, that want the object at once
    storm = Storm(seed)
    for _ in range(count):
        storm.join()
    storm.check()
    roots = [stripe for (_, stripe), parent in sources(storm.forest).items() if parent == MANAGER]
    assert sorted(roots) == [0, 1, 2], "the manager uploads it once"
    assert storm.depth() <= depth_bound(count)
    # when a fifth as much happens again
    for _ in range(max(20, min(count // 5, 300))):
        storm.happen()
    # then the trees are still whole, and low
    storm.check()
    assert storm.depth() <= 3 * depth_bound(count)


@pytest.mark.parametrize("count", [8, 30, 40])
def test_whoever_finds_its_parent_slow_gets_another_one_if_any_has_a_slot_to_spare(count: int) -> None:
    for (child, stripe), parent in sources(grown(count)).items():
        if parent != MANAGER:
            forest = grown(count)
            forest.accuse(parent, child)
            after = sources(forest)
            fed = Counter(after.values())
            spare = {node for node, _ in after if fed[node] < 3} - {parent, child}
            assert after[child, stripe] != parent or not spare


def test_who_calls_everybody_slow_is_not_believed_for_long() -> None:
    # given two nodes that find every parent slow, whoever that is
    storm = Storm(0)
    for _ in range(200):
        storm.join()
    for _ in range(100):
        for child in storm.wanting[50:52]:
            for edge in storm.forest.sources(child):
                if edge.parent is not None:
                    storm.forest.accuse(edge.parent, child)
    # then hardly anybody has lost its place for that
    assert sum(storm.forest.is_slow(node) for node in storm.wanting) <= config.slow_claims_max
    storm.check()


@given(st.integers(2, 400), st.integers(0, 1 << 30))
@settings(max_examples=12, deadline=None)
def test_the_manager_uploads_no_more_because_nodes_are_called_slow(count: int, seed: int) -> None:
    """But where every node is: what all are said to be too slow for, somebody has to do."""
    storm = Storm(seed)
    for _ in range(count):
        storm.join()
    for _ in range(count // 4):
        storm.accuse()
        storm.check()
    fed = Counter(parent for parent in sources(storm.forest).values())
    assert fed[MANAGER] == 3
