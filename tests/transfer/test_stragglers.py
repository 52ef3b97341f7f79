"""Who still receives when nearly all have it, and what of it could be fed better?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.transfer.grove import grove
from vine import config
from vine.transfer.stragglers import Stragglers
from vine.transfer.trees import Member, Trees

ALL = frozenset({0, 1, 2})
MANY = config.stragglers_of  # One of so many is a straggler.


def link(trees: Trees, stragglers: Stragglers, parent: Member, child: Member, stripe: int) -> None:
    trees.link(parent, child, stripe)
    stragglers.linked(parent, child, stripe)


def test_what_comes_from_a_node_that_still_receives_could_come_from_one_that_has_it_all() -> None:
    # given a node that gets one stripe from a holder and another one from a node that still receives
    trees, (holder, other, late) = grove("holder", "other", "late")
    trees.hold(holder, ALL)
    stragglers = Stragglers(3)
    stragglers.add(late)
    link(trees, stragglers, holder, late, 0)
    link(trees, stragglers, other, late, 1)
    # then that one is badly fed, once it is one of few
    assert list(stragglers.badly_fed(MANY - 1)) == []
    assert list(stragglers.badly_fed(MANY)) == [(late, 1)]
    stragglers.discard(late)
    assert list(stragglers.badly_fed(MANY)) == []


def test_two_stripes_from_one_holder_could_come_from_two() -> None:
    trees, (holder, late) = grove("holder", "late")
    trees.hold(holder, ALL)
    stragglers = Stragglers(3)
    stragglers.add(late)
    link(trees, stragglers, holder, late, 0)
    link(trees, stragglers, holder, late, 2)
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
    stragglers = Stragglers(1)
    stragglers.add(late)
    link(trees, stragglers, node, late, 0)
    assert list(stragglers.badly_fed(MANY)) == []


@given(st.data())
def test_a_look_finds_all_of_the_badly_fed_in_the_order_in_which_they_came(data: st.DataObject) -> None:
    # given edges that come and go, stripes that nodes get whole, and looks in between
    trees, nodes = grove(*"abcdef")
    stragglers = Stragglers(3)
    for node in nodes:
        stragglers.add(node)
    for _ in range(data.draw(st.integers(1, 12), "steps")):
        parent, child = data.draw(st.permutations(nodes), "who")[:2]
        stripe, event = data.draw(st.integers(0, 2)), data.draw(st.sampled_from(["link", "unlink", "hold", "look"]))
        if event == "link" and child.parents[stripe] is None:
            link(trees, stragglers, parent, child, stripe)
        elif event == "unlink":
            trees.unlink(child, stripe)
        elif event == "hold":
            trees.hold(parent, frozenset({stripe}))
        else:
            list(stragglers.badly_fed(MANY * len(nodes)))
    # when all are looked at, one by one
    badly = [
        (node, stripe)
        for node in nodes
        for stripe, parent in enumerate(node.parents)
        if parent is not None and (stripe not in parent.holds or parent.flows[node] > 1)
    ]
    # then those are what is found, now and the next time
    assert list(stragglers.badly_fed(MANY * len(nodes))) == badly
    assert list(stragglers.badly_fed(MANY * len(nodes))) == badly
