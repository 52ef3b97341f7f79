"""Who still receives when nearly all have it, and what of it could be fed better?"""

from __future__ import annotations

from tests.transfer.grove import grove
from vine import config
from vine.transfer.stragglers import Stragglers

ALL = frozenset({0, 1, 2})
MANY = config.stragglers_of  # One of so many is a straggler.


def test_what_comes_from_a_node_that_still_receives_could_come_from_one_that_has_it_all() -> None:
    # given a node that gets one stripe from a holder and another one from a node that still receives
    trees, (holder, other, late) = grove("holder", "other", "late")
    trees.hold(holder, ALL)
    trees.link(holder, late, 0)
    trees.link(other, late, 1)
    stragglers = Stragglers(3)
    stragglers.add(late)
    # then that one is badly fed, once it is one of few
    assert list(stragglers.badly_fed(MANY - 1)) == []
    assert list(stragglers.badly_fed(MANY)) == [(late, 1)]
    stragglers.discard(late)
    assert list(stragglers.badly_fed(MANY)) == []


def test_two_stripes_from_one_holder_could_come_from_two() -> None:
    trees, (holder, late) = grove("holder", "late")
    trees.hold(holder, ALL)
    trees.link(holder, late, 0)
    trees.link(holder, late, 2)
    stragglers = Stragglers(3)
    stragglers.add(late)
    assert list(stragglers.badly_fed(MANY)) == [(late, 0), (late, 2)]


def test_it_is_better_off_with_a_holder_that_feeds_it_nothing_yet_and_was_not_too_slow_for_it() -> None:
    trees, (holder, another, blamed, receiving, late) = grove("holder", "another", "blamed", "receiving", "late")
    for node in (holder, another, blamed):
        trees.hold(node, ALL)
    trees.link(holder, late, 0)
    late.blames(blamed, silent=False)
    stragglers = Stragglers(3)
    assert [node.name for node in (holder, another, blamed, receiving) if stragglers.suits(late, 1, node)] == [
        "another"
    ]


def test_in_a_chain_nobody_is_taken_off() -> None:
    trees, (node, late) = grove("node", "late")
    trees.link(node, late, 0)
    stragglers = Stragglers(1)
    stragglers.add(late)
    assert list(stragglers.badly_fed(MANY)) == []
