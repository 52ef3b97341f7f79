from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transfer.planted import depth, feeds_in, grown, join, line_up, planted, sources
from tests.transfer.spreading import spread
from vine.names import MANAGER, WorkerId
from vine.transfer.trees import Slots

CHUNK_BYTES = 1 << 20
CHUNKS = 866  # of 908 MB
BOUND_S = 908e6 / 1.25e9


def depth_bound(count: int) -> int:
    return math.ceil(math.log(2 * count + 1, 3)) + 2


# --- shape ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [*range(1, 41), 64, 243, 1000, 3000])
def test_everybody_hangs_in_three_low_trees_and_feeds_in_one(count: int) -> None:
    forest = grown(count)
    tree = sources(forest)
    assert not list(forest.waiting()) and len(tree) == 3 * count
    assert all(line_up(tree, child, stripe)[-1] == MANAGER for child, stripe in tree)
    assert max(Counter(tree.values()).values()) <= 3
    assert depth(forest) <= depth_bound(count)
    # Where the number of nodes leaves one stripe a slot short, one node lends it.
    assert sum(len(stripes) > 1 for stripes in feeds_in(forest).values()) <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_the_manager_feeds_one_root_a_stripe_and_so_uploads_the_object_once(count: int) -> None:
    roots = [stripe for (_, stripe), parent in sources(grown(count)).items() if parent == MANAGER]
    assert sorted(roots) == [0, 1, 2]


def test_a_join_changes_a_handful_of_edges_however_large_the_forest_is() -> None:
    forest = planted()
    changed = [len(join(forest, f"w{number}")) for number in range(2000)]
    assert sum(changed) <= 5 * 2000
    assert max(changed) <= 8


@given(st.integers(1, 3000), st.integers(0, 1 << 30))
@settings(max_examples=8, deadline=None)
def test_faster_nodes_are_nearer_the_roots(count: int, seed: int) -> None:
    dice = random.Random(seed)
    forest, ranks = planted(), {}
    for number in range(count):
        ranks[f"w{number}"] = dice.randrange(4)
        join(forest, f"w{number}", rank=ranks[f"w{number}"])
    feeding = feeds_in(forest)
    for (child, stripe), parent in sources(forest).items():
        if parent != MANAGER and feeding.get(child) == {stripe} == feeding[parent]:
            assert ranks[parent] <= ranks[child]
    assert depth(forest) <= depth_bound(count)
    assert not list(forest.waiting())


@given(st.integers(2, 1500), st.integers(0, 9), st.integers(0, 1 << 30))
@settings(max_examples=8, deadline=None)
def test_losses_leave_the_trees_low_and_everybody_fed(count: int, kept_tenths: int, seed: int) -> None:
    dice = random.Random(seed)
    forest, alive = grown(count), [WorkerId(f"w{number}") for number in range(count)]
    dice.shuffle(alive)
    while len(alive) > max(1, count * kept_tenths // 10):
        forest.leave(alive.pop())
    tree = sources(forest)
    assert not list(forest.waiting())
    assert {child for child, _ in tree} == set(alive) and len(tree) == 3 * len(alive)
    assert all(line_up(tree, child, stripe)[-1] == MANAGER for child, stripe in tree)
    assert depth(forest) <= 3 * depth_bound(count)


# --- events --------------------------------------------------------------------------------------


def test_a_loss_moves_those_whom_the_lost_node_fed_and_few_others() -> None:
    forest = grown(300)
    tree = sources(forest)
    for number in range(0, 300, 7):
        lost = WorkerId(f"w{number}")
        hurt = {key for key, parent in tree.items() if parent == lost}
        changed = {(edge.child, edge.stripe) for edge in forest.leave(lost)}
        assert hurt <= changed
        assert len(changed - hurt) <= len(hurt)  # A leaf may make room for a node on which others hang.
        tree = sources(forest)


def test_a_slow_node_becomes_a_leaf() -> None:
    forest = grown(81)
    slow = next(parent for (_, _), parent in sources(forest).items() if parent != MANAGER)
    hurt = {key for key, parent in sources(forest).items() if parent == slow}
    changed = {(edge.child, edge.stripe) for edge in forest.demote(slow)}
    assert hurt and hurt <= changed
    assert slow not in sources(forest).values()
    join(forest, *(f"x{number}" for number in range(30)))
    assert slow not in sources(forest).values()
    assert forest.demote(slow) == []


def test_slow_nodes_feed_others_when_nobody_else_is_left() -> None:
    forest = grown(30)
    for number in range(25):
        forest.demote(WorkerId(f"w{number}"))
    assert not list(forest.waiting()) and len(sources(forest)) == 90


def test_a_child_that_finds_its_parent_slow_is_fed_by_another_and_nobody_else_moves_but_who_makes_room() -> None:
    # given a child deep in a forest
    forest = grown(81)
    tree = sources(forest)
    (child, stripe), parent = next(entry for entry in tree.items() if len(line_up(tree, *entry[0])) == 3)
    # when it finds its parent slow
    changed = forest.accuse(parent, child)
    # then it has another, and the parent feeds its other children on
    after = sources(forest)
    assert after[child, stripe] != parent and not forest.is_slow(parent)
    assert (child, stripe) in {(edge.child, edge.stripe) for edge in changed} and len(changed) <= 3
    others = {key for key, source in tree.items() if source == parent and key != (child, stripe)}
    assert others and all(after[key] == parent for key in others)
    # when it says so again, too late, nothing happens
    assert forest.accuse(parent, child) == []


def test_whom_two_children_find_slow_feeds_nobody_any_more() -> None:
    forest = grown(81)
    tree = sources(forest)
    slow = next(node for node, stripes in feeds_in(forest).items() if list(tree.values()).count(node) == 3 and stripes)
    first, second = [child for (child, _), parent in tree.items() if parent == slow][:2]
    forest.accuse(slow, first)
    assert not forest.is_slow(slow)
    forest.accuse(slow, second)
    assert forest.is_slow(slow) and slow not in sources(forest).values()
    assert not list(forest.waiting()) and len(sources(forest)) == 3 * 81


def test_one_child_that_has_nobody_else_to_turn_to_stays_where_it_is() -> None:
    forest = planted()
    join(forest, "a")
    assert forest.accuse(MANAGER, WorkerId("a")) == []
    assert set(sources(forest).values()) == {MANAGER}


def test_who_waits_for_slots_itself_is_not_taken_for_dead_by_those_who_hear_nothing_of_it() -> None:
    # given a node that has lost its source where slots are short, and on which others hang still
    forest = planted(Slots(2))
    join(forest, *(f"w{number}" for number in range(8)))
    forest.leave(WorkerId("w4"))
    [silent] = forest.waiting()
    children = sorted({child for (child, _), parent in sources(forest).items() if parent == silent})
    assert len(children) == 2
    # when all of those say that they hear nothing of it
    for child in children:
        forest.accuse(silent, child, silent=True)
    # then it is not given up, and is fed as soon as there are slots
    assert not forest.is_suspended(silent) and not forest.is_slow(silent)
    for number in (0, 2, 3, 6):
        forest.finish(WorkerId(f"w{number}"))
    assert not list(forest.waiting()) and {(silent, stripe) for stripe in range(3)} <= sources(forest).keys()


def test_when_a_full_forest_moves_a_child_nobody_comes_to_hang_on_the_node_that_is_known_to_be_slow() -> None:
    for number in range(3 * 81):
        # given a full forest with a slow node, whose slots are wanting
        forest = grown(81)
        slow = next(node for node, stripes in feeds_in(forest).items() if stripes)
        forest.demote(slow)
        (child, _), parent = list(sources(forest).items())[number]
        if slow in (child, parent) or parent == MANAGER:
            continue
        # when any child finds its parent slow
        forest.accuse(parent, child)
        # then it, or who makes room for it, rather hangs on that one
        assert slow not in sources(forest).values()


def test_the_last_that_still_receive_are_each_fed_by_three_that_have_it_all() -> None:
    # given two nodes of which one feeds the other
    forest = grown(32)
    child, parent = next((child, parent) for (child, _), parent in sources(forest).items() if parent != MANAGER)
    # when all others have it all
    for number in range(32):
        if (node := WorkerId(f"w{number}")) not in (child, parent):
            forest.finish(node)
    # then both are fed by others than each other, each stripe by another
    for node in (child, parent):
        feeders = {edge.parent for edge in forest.sources(node)} - {None}
        assert len(feeders) == 3 and all(forest.has_all(feeder) for feeder in feeders if feeder)


def test_a_node_that_called_itself_slow_stays_so_whoever_complains_of_it() -> None:
    # given more slow nodes than the others can spare, so that they feed some
    forest = grown(30)
    for number in range(25):
        forest.demote(WorkerId(f"w{number}"))
    child, slow = next((child, parent) for (child, _), parent in sources(forest).items() if forest.is_slow(parent))
    # when a child finds one too slow
    forest.accuse(slow, child)
    # then it is no better for that
    assert forest.is_slow(slow)


def test_newcomers_take_over_what_nodes_had_to_lend() -> None:
    forest = grown(600)
    for number in range(0, 600, 2):
        forest.leave(WorkerId(f"w{number}"))
    lending = sum(len(stripes) > 1 for stripes in feeds_in(forest).values())
    join(forest, *(f"x{number}" for number in range(300)))
    assert sum(len(stripes) > 1 for stripes in feeds_in(forest).values()) <= lending / 5


def test_newcomers_keep_the_trees_low_even_where_slots_are_short() -> None:
    forest = grown(1000)
    for number in range(0, 1000, 2):
        forest.leave(WorkerId(f"w{number}"))
    for number in range(1, 20, 2):
        forest.demote(WorkerId(f"w{number}"))
    join(forest, *(f"x{number}" for number in range(500)))
    assert not list(forest.waiting())
    assert depth(forest) <= 2 * depth_bound(1000)


def test_latecomers_are_fed_however_many_and_never_put_above_those_ahead_of_them() -> None:
    forest = grown(50)
    early = sources(forest)
    join(forest, *(f"late{number}" for number in range(200)), now=5.0)
    tree = sources(forest)
    assert not list(forest.waiting()) and len(tree) == 750
    assert {key: tree[key] for key in early} == early
    assert depth(forest) <= depth_bound(50) + depth_bound(200)


def test_who_has_it_all_feeds_others_before_the_manager_does() -> None:
    forest = planted()
    join(forest, "a")
    forest.finish(WorkerId("a"))
    join(forest, "b", now=9.0)
    assert set(sources(forest).values()) == {"a"}


def test_a_lone_latecomer_pulls_from_several_holders() -> None:
    forest = planted()
    for name in "abc":
        forest.hold(WorkerId(name))
    join(forest, "d")
    assert set(sources(forest).values()) == {"a", "b", "c"}


def test_a_holder_of_some_stripes_feeds_those() -> None:
    forest = planted()
    forest.hold(WorkerId("part"), stripes=frozenset({1}))
    join(forest, "a")
    assert sources(forest) == {("a", 0): MANAGER, ("a", 1): "part", ("a", 2): MANAGER}


def test_backups_are_others_and_do_not_depend_on_the_child() -> None:
    forest = grown(100)
    for name in ("a", "b"):
        forest.hold(WorkerId(name))
    tree = sources(forest)
    for edge in forest.edges():
        assert edge.backup not in (None, edge.parent, edge.child)
        assert edge.child not in line_up(tree, edge.backup, edge.stripe)


def test_a_source_that_is_busy_with_other_objects_is_used_when_it_is_free_again() -> None:
    slots = Slots(3)
    forest = planted(slots)
    for _ in range(3):
        slots.take(MANAGER)
    assert join(forest, "a") == []
    assert list(forest.waiting()) == ["a"]
    slots.give(MANAGER)
    assert {edge.child for edge in forest.retry()} == {"a"}


def test_a_forest_that_is_dissolved_gives_all_slots_back() -> None:
    slots = Slots(3)
    forest = planted(slots)
    join(forest, *(f"w{number}" for number in range(20)))
    assert slots.used
    forest.dissolve()
    assert not slots.used


# --- how fast ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [32, 64, 128, 256])
def test_spreading_a_large_file_takes_hardly_longer_than_sending_it_once(count: int) -> None:
    last_s = spread(grown(count).edges(), MANAGER, CHUNKS, CHUNK_BYTES)
    assert BOUND_S / last_s >= 0.90


def test_two_thousand_nodes_lose_little_more_time_to_the_hops() -> None:
    """What is lost is the hops of the first chunks, so an eighth of the file loses as much as all of it."""
    eighth = CHUNKS // 8
    lost_s = spread(grown(2000).edges(), MANAGER, eighth, CHUNK_BYTES) - eighth * CHUNK_BYTES / 1.25e9
    assert BOUND_S / (BOUND_S + lost_s) >= 0.85
