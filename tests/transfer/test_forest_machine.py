"""Whatever happens to two forests whose nodes share their slots, the plans are sound and all are fed in the end."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.transfer.planted import Sources, line_up, planted, sources
from vine.names import WorkerId
from vine.transfer.trees import Edge, Slots


class Forests(RuleBasedStateMachine):
    """Two objects among the same nodes, whose slots they share."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(3)
        self.forests = [planted(self.slots, window_s=1.0), planted(self.slots, window_s=0.0)]
        self.wanting: list[set[WorkerId]] = [set(), set()]
        self.parts: list[list[WorkerId]] = [[], []]
        self.now = 0.0
        self.number = 0
        self.known: list[Sources] = [{}, {}]

    def told(self, which: int, edges: list[Edge]) -> None:
        """What the events tell must add up to what the forest says."""
        for edge in edges:
            if edge.parent is None:
                self.known[which].pop((edge.child, edge.stripe), None)
            else:
                self.known[which][edge.child, edge.stripe] = edge.parent

    def gone(self, which: int, node: WorkerId) -> None:
        self.wanting[which].discard(node)
        self.known[which] = {key: parent for key, parent in self.known[which].items() if key[0] != node}

    def one_of(self, data: st.DataObject, which: int) -> WorkerId:
        return data.draw(st.sampled_from(sorted(self.wanting[which])))

    @rule(cap=st.sampled_from([1, 2, 3, 10]))
    @precondition(lambda self: self.number == 0)
    def set_cap(self, cap: int) -> None:
        self.slots.cap = cap

    @rule(which=st.integers(0, 1), count=st.integers(1, 6), rank=st.integers(0, 2))
    def some_join(self, which: int, count: int, rank: int) -> None:
        for _ in range(count):
            self.number += 1
            name = WorkerId(f"w{self.number % 60}")
            if name not in self.forests[which]:
                self.wanting[which].add(name)
                self.told(which, self.forests[which].join(name, self.now, rank))

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(data=st.data(), which=st.integers(0, 1))
    @precondition(lambda self: all(self.wanting))
    def finish(self, data: st.DataObject, which: int) -> None:
        node = self.one_of(data, which)
        if node not in self.forests[which].waiting():
            self.gone(which, node)
            self.told(which, self.forests[which].finish(node))

    @rule(data=st.data(), which=st.integers(0, 1))
    @precondition(lambda self: all(self.wanting))
    def leave(self, data: st.DataObject, which: int) -> None:
        node = self.one_of(data, which)
        self.gone(which, node)
        self.told(which, self.forests[which].leave(node))

    @rule(data=st.data(), which=st.integers(0, 1))
    @precondition(lambda self: all(self.wanting))
    def demote(self, data: st.DataObject, which: int) -> None:
        self.told(which, self.forests[which].demote(self.one_of(data, which)))

    @rule(data=st.data(), which=st.integers(0, 1), count=st.integers(1, 2), silent=st.booleans())
    @precondition(lambda self: any(sources(forest) for forest in self.forests))
    def accuse(self, data: st.DataObject, which: int, count: int, silent: bool) -> None:
        forest = self.forests[which]
        fed = sources(forest)
        if fed:
            slow = data.draw(st.sampled_from(sorted(set(fed.values()))))
            for child in sorted({child for (child, _), parent in fed.items() if parent == slow})[:count]:
                waits = slow in forest.waiting() and not forest.is_suspended(slow)
                self.told(which, forest.accuse(slow, child, silent))
                assert not (waits and forest.is_suspended(slow)), "nobody could hear anything of it"

    @rule(data=st.data(), which=st.integers(0, 1))
    @precondition(lambda self: any(self.away(which) for which in (0, 1)))
    def somebody_who_was_taken_for_dead_answers(self, data: st.DataObject, which: int) -> None:
        if away := self.away(which):
            self.answers(which, data.draw(st.sampled_from(away)))

    def away(self, which: int) -> list[WorkerId]:
        return [node for node in sorted(self.wanting[which]) if self.forests[which].is_suspended(node)]

    def answers(self, which: int, node: WorkerId) -> None:
        self.gone(which, node)
        self.told(which, self.forests[which].leave(node))
        self.wanting[which].add(node)
        self.told(which, self.forests[which].join(node, self.now))

    @rule(data=st.data(), which=st.integers(0, 1), stripes=st.frozensets(st.integers(0, 2), min_size=1, max_size=2))
    def somebody_has_some_stripes(self, data: st.DataObject, which: int, stripes: frozenset[int]) -> None:
        """A part of the object is enough to feed others with, though its holder wants no more."""
        self.number += 1
        name = WorkerId(f"part{self.number}")
        self.told(which, self.forests[which].hold(name, stripes=stripes, rank=data.draw(st.integers(-2, 4))))
        self.parts[which].append(name)

    @rule(data=st.data(), which=st.integers(0, 1))
    @precondition(lambda self: any(self.parts))
    def some_stripes_are_gone(self, data: st.DataObject, which: int) -> None:
        if self.parts[which]:
            name = data.draw(st.sampled_from(self.parts[which]))
            self.parts[which].remove(name)
            self.told(which, self.forests[which].leave(name))

    @rule()
    def retry(self) -> None:
        for which, forest in enumerate(self.forests):
            self.told(which, forest.retry())

    @invariant()
    def the_plan_is_sound(self) -> None:
        flows: Counter[WorkerId] = Counter()
        for which, forest in enumerate(self.forests):
            tree = sources(forest)
            assert tree == self.known[which]
            flows.update(parent for parent, _ in {(parent, child) for (child, _), parent in tree.items()})
            assert max(Counter(tree.values()).values(), default=0) <= 3
            waiting = set(forest.waiting())
            for node in self.wanting[which]:
                fed = [stripe for stripe in range(3) if (node, stripe) in tree]
                assert fed == ([] if node in waiting else [0, 1, 2])
                for stripe in fed:
                    end = line_up(tree, node, stripe)[-1]
                    assert end in waiting or end not in self.wanting[which]
            for edge in forest.edges():
                assert edge.backup is None or edge.child not in (edge.backup, *line_up(tree, edge.backup, edge.stripe))
        assert flows == self.slots.used
        assert all(used <= self.slots.cap for used in flows.values())

    def teardown(self) -> None:
        """Everybody gets everything in the end: some node can always finish."""
        for which in (0, 1):
            for node in self.away(which):
                self.answers(which, node)
        for _ in range(1000):
            self.retry()
            done = [
                (which, node)
                for which, forest in enumerate(self.forests)
                for tree in (sources(forest),)
                for node in sorted(self.wanting[which])
                if (node, 0) in tree
                and all(line_up(tree, node, stripe)[-1] not in self.wanting[which] for stripe in range(3))
            ]
            if not done:
                break
            for which, node in done:
                self.gone(which, node)
                self.told(which, self.forests[which].finish(node))
                self.the_plan_is_sound()
        assert not any(self.wanting)
        assert not self.slots.used


TestForests = Forests.TestCase
TestForests.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
