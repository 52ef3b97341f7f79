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
    stragglers = Stragglers()
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
    stragglers = Stragglers()
    stragglers.add(late)
    assert list(stragglers.badly_fed(MANY)) == [(late, 0), (late, 2)]
