from __future__ import annotations

import pytest

from tests.transfer.grove import grove
from vine.names import WorkerId
from vine.transfer.trees import Edge, Ranking, Slots, Verdict


def test_a_flow_is_an_object_to_a_receiver_however_many_stripes_it_carries() -> None:
    trees, (a, b, c) = grove("a", "b", "c")
    trees.link(a, b, 0)
    trees.link(a, b, 1)
    trees.link(a, c, 2)
    assert trees.slots.used == {"a": 2}
    trees.unlink(b, 0)
    assert trees.slots.used == {"a": 2}
    trees.unlink(b, 1)
    assert trees.slots.used == {"a": 1}


def test_a_node_has_room_for_as_many_edges_as_there_are_stripes_and_for_as_many_flows_as_its_cap() -> None:
    trees, (a, b, c, d) = grove("a", "b", "c", "d", cap=1)
    trees.link(a, b, 0)
    assert trees.can_serve(a, b) and not trees.can_serve(a, c)
    assert trees.can_serve(a, c, leaving=b)
    trees.link(a, b, 1)
    trees.link(a, b, 2)
    assert not trees.can_serve(a, b) and not trees.can_serve(a, d, leaving=b)


def test_a_slot_that_was_not_taken_is_not_given_back() -> None:
    with pytest.raises(AssertionError, match="a gave back"):
        Slots(3).give(WorkerId("a"))


def test_depth_counts_the_edges_to_a_holder_and_is_none_without_one() -> None:
    trees, (a, b, c) = grove("a", "b", "c")
    trees.link(a, b, 0)
    trees.link(b, c, 0)
    assert trees.depth(c, 0) is None
    trees.hold(a, frozenset({0}))
    assert [trees.depth(node, 0) for node in (a, b, c)] == [0, 1, 2]
    assert trees.depth(a, 1) is None
    assert trees.is_below(c, a, 0) and not trees.is_below(a, c, 0)
    assert list(trees.below(a, 0)) == [b, c]


def test_a_holder_keeps_a_slot_for_each_stripe_that_has_no_root() -> None:
    trees, (a, b, c) = grove("a", "b", "c")
    trees.hold(a, frozenset({0, 1, 2}))
    trees.link(a, b, 0)
    assert not trees.can_root(a, 0) and trees.can_root(a, 1)
    trees.link(a, b, 1)
    trees.hold(c, frozenset({2}))
    assert not trees.can_root(a, 0) and trees.can_root(a, 2) and trees.can_root(c, 2)


def test_changes_are_told_once_and_only_where_something_changed() -> None:
    trees, (a, b, c) = grove("a", "b", "c")
    trees.hold(a, frozenset({0, 1, 2}))
    trees.link(a, b, 0)
    trees.link(a, c, 0)
    assert [(e.child, e.parent) for e in trees.take_changes()] == [("b", "a"), ("c", "a")]
    trees.unlink(b, 0)
    trees.link(a, b, 0)
    trees.unlink(c, 0)
    assert trees.take_changes() == [Edge(0, c.name, None, None)]
    assert trees.take_changes() == []


def test_the_backup_is_the_parents_parent_or_else_another_holder_or_a_sibling() -> None:
    trees, (a, b, c, d) = grove("a", "b", "c", "d")
    trees.hold(a, frozenset({0}))
    trees.link(a, b, 0)
    trees.link(b, c, 0)
    assert trees.edge(c, 0).backup == "a"
    assert trees.edge(b, 0).backup is None
    trees.link(a, d, 0)
    assert trees.edge(b, 0).backup == "d"
    trees.hold(d, frozenset({0}))
    assert trees.edge(b, 0).backup == "d"


def test_who_is_spared_or_slow_is_the_backup_only_of_those_who_have_nobody_else() -> None:
    # given a spared holder that feeds a root, which feeds another node
    trees, (a, b, c, d) = grove("a", "b", "c", "d")
    trees.hold(a, frozenset({0}))
    a.spared = True
    trees.link(a, b, 0)
    trees.link(b, c, 0)
    assert trees.edge(c, 0).backup == "a"
    # then its sibling is asked before the spared one, unless it is slow
    trees.link(b, d, 0)
    assert trees.edge(c, 0).backup == "d"
    d.slow = True
    assert trees.edge(c, 0).backup == "a"


def test_a_ranking_finds_the_nearest_to_the_root_though_trees_have_changed() -> None:
    trees, (a, b, c, d) = grove("a", "b", "c", "d")
    trees.hold(a, frozenset({0}))
    trees.link(a, b, 0)
    trees.link(b, c, 0)
    trees.link(c, d, 0)
    ranking = Ranking(trees, 0)
    for member in (d, c, b):
        ranking.add(member)
    assert ranking.first(lambda member: Verdict.TAKE) is b
    assert ranking.first(lambda member: Verdict.TAKE if member is d else Verdict.KEEP, passes_max=2) is None
    trees.unlink(b, 0)
    trees.unlink(c, 0)
    trees.link(a, c, 0)
    trees.link(d, b, 0)
    assert ranking.first(lambda member: Verdict.TAKE) is c
    assert ranking.first(lambda member: Verdict.TAKE if member is d else Verdict.DROP) is d
    assert ranking.first(lambda member: Verdict.TAKE) is d
