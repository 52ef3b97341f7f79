"""Who has a slot to spare in a stripe, and who of them is the best?"""

from __future__ import annotations

from tests.transfer.grove import grove
from vine.transfer.offers import Offers
from vine.transfer.trees import Member, Trees

ALL = frozenset({0, 1, 2})


def offered(trees: Trees, *members: Member) -> Offers:
    offers = Offers(trees, {member.name: member for member in members})
    for member in members:
        offers.add(member)
    return offers


def test_the_holder_with_the_fewest_edges_is_the_best_and_one_that_is_slow_none() -> None:
    trees, (a, b, c, child) = grove("a", "b", "c", "child")
    for holder in (a, b, c):
        trees.hold(holder, ALL)
    trees.link(a, child, 1)
    offers = offered(trees, a, b, c)
    assert offers.best(0, 0, child) is b
    b.slow = True
    assert offers.best(0, 0, child) is c


def test_who_is_at_home_in_a_stripe_feeds_there_and_not_elsewhere() -> None:
    trees, (root, node, child) = grove("root", "node", "child")
    trees.hold(root, ALL)
    trees.link(root, node, 2)
    node.home = 2
    offers = offered(trees, node)
    assert offers.best(2, 2, child) is node
    assert offers.best(1, 1, child) is None


def test_who_was_busy_with_other_objects_is_asked_again_after_a_renewal_only() -> None:
    # given a holder whose slots others have
    trees, (holder, child) = grove("holder", "child")
    trees.hold(holder, ALL)
    for _ in range(3):
        trees.slots.take(holder.name)
    offers = offered(trees, holder)
    assert offers.best(0, 0, child) is None
    # when they give them back
    for _ in range(3):
        trees.slots.give(holder.name)
    # then that is seen at the renewal
    assert offers.best(0, 0, child) is None
    offers.renew()
    assert offers.best(0, 0, child) is holder


def test_who_has_left_the_forest_feeds_nobody() -> None:
    trees, (holder, child) = grove("holder", "child")
    trees.hold(holder, ALL)
    members = {holder.name: holder}
    offers = Offers(trees, members)
    offers.add(holder)
    del members[holder.name]
    assert offers.best(0, 0, child) is None
