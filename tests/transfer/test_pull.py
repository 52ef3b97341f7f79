"""Receivers and senders together, over a network that loses, repeats and reorders."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transfer.named import backups, edge, edges
from tests.transfer.world import Faults, Plan, World
from vine import config
from vine.wire.parts import FetchFault

seeds = st.integers(0, 2**32)
chunk_counts = st.integers(0, 60)
few_faults = st.integers(0, 30)


def unreliable(lost: int, damaged: int = 0) -> Faults:
    return Faults(lost=lost, repeated=0.1, damaged=damaged, delay_s=(0.001, 0.05))


@given(seeds, chunk_counts, few_faults, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_pull_completes_whatever_the_network_loses_repeats_and_reorders(
    seed: int, chunks: int, lost: int, damaged: int
) -> None:
    world = World(seed, chunks, cap=3, faults=unreliable(lost, damaged))
    world.plan_again = lambda name: (edges("m"), ())
    world.add("m", holder=True)
    world.add("a")
    world.pull("a", edges("m"))
    world.run()


@given(seeds, chunk_counts, few_faults)
@settings(max_examples=40, deadline=None)
def test_a_line_of_nodes_that_all_still_receive_completes(seed: int, chunks: int, lost: int) -> None:
    world = World(seed, chunks, cap=1, faults=unreliable(lost))
    sources = {"d": "c", "c": "b", "b": "a", "a": "m"}
    world.plan_again = lambda name: (edges(sources[name]), ())
    world.add("m", holder=True)
    for name in "abcd":
        world.add(name)
    for name in sources:  # the last first: its wants come before the object is known
        world.pull(name, edges(sources[name]))
    world.run()


@given(seeds, chunk_counts, st.integers(1, 3), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_many_that_want_of_few_take_turns_under_the_cap(seed: int, chunks: int, cap: int, lost: int) -> None:
    world = World(seed, chunks, cap, unreliable(lost))
    world.plan_again = lambda name: (edges("mn"), ())
    for name in "mn":
        world.add(name, holder=True)
    for name in "abcdef":
        world.add(name)
    for name in "abcdef":
        world.pull(name, edges("mn"))
    world.run()
    assert all(world.nodes[name].sender.flows_max <= cap for name in "mn")


def random_plan(world: World, name: str) -> Plan:
    """One to three sources of those before it that live, the same one for several stripes perhaps, and backups."""
    before = [other for other in world.nodes if other < name and not world.nodes[other].dead]
    sources = [edge(world.dice.choice(before)) for _ in range(world.dice.randint(1, config.forest_stripes))]
    return sources, [edge(world.dice.choice(before)) if world.dice.random() < 0.7 else None for _ in sources]


@given(seeds, st.integers(0, 90), few_faults, st.integers(0, 3), st.integers(0, 3), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_it_ends_whoever_is_slow_or_dies_and_however_the_sources_change(
    seed: int, chunks: int, lost: int, damaged: int, deaths: int, changes: int
) -> None:
    # given nodes of very different speeds, whose sources are others before them
    world = World(seed, chunks, cap=3, faults=unreliable(lost, damaged))
    world.plan_again = lambda name: random_plan(world, name)
    for name in "AB":
        world.add(name, holder=True, chunk_s=0.002)
    for name in "abcdef":
        world.add(name, chunk_s=world.dice.choice((0.0, 0.002, 0.05, 0.4)))
    for name in "abcdef":
        world.pull(name, *random_plan(world, name))
    # when some die, and plans change in the midst of it
    for name in world.dice.sample("abcdef", deaths):
        world.at(world.dice.uniform(0.0, 2.0), lambda name=name: world.die(name))
    for _ in range(changes):
        name = world.dice.choice("abcdef")
        world.at(world.dice.uniform(0.0, 2.0), lambda name=name: world.change(name, *random_plan(world, name)))
    # then those that live have everything (and on the way nobody was blamed for what he does not have)
    world.run()


def test_without_faults_nothing_is_asked_twice_or_fails() -> None:
    world = World(seed=1, chunks=50, cap=3)
    world.add("m", holder=True)
    for name in "abc":
        world.add(name)
        world.pull(name, edges("m"))
    world.run()
    assert all(node.strays == 0 for node in world.nodes.values())
    assert world.now < config.want_again_s


def test_a_source_of_several_stripes_is_one_flow() -> None:
    world = World(seed=1, chunks=60, cap=1)
    world.add("m", holder=True)
    world.add("a")
    world.pull("a", edges("mmm"))
    world.run()
    assert world.nodes["m"].sender.flows_max == 1


def test_a_failed_source_is_named() -> None:
    world = World(seed=1, chunks=60, cap=3)
    world.plan_again = lambda name: (edges("m"), ())
    world.add("m", holder=True)
    world.add("n", holder=True)
    world.add("a")
    node = world.pull("a", edges("mn"))
    world.die("n")
    world.run()
    assert [(failure.fault, failure.source) for failure in node.failures] == [(FetchFault.SOURCE_GONE, edge("n"))]


# --- sources that do not do as they should, among some that do ---

CHUNK_S = 0.003  # What an uplink takes for a chunk, and so a stripe's interval.


def pulled(
    chunks: int, slow_s: float = CHUNK_S, backup: bool = True, dies_at: float | None = None, buffers: bool = False
) -> World:
    """One node pulls from three holders, of whom `c` takes so long for a chunk, or dies; `m` could help out."""
    world = World(seed=1, chunks=chunks, cap=3)
    for name in "abm":
        world.add(name, holder=True, chunk_s=CHUNK_S)
    world.add("c", holder=True, chunk_s=slow_s).buffers = buffers
    world.add("x")
    world.pull("x", edges("abc"), backups("..m") if backup else ())
    if dies_at is not None:
        world.at(dies_at, lambda: world.die("c"))
    world.run()
    return world


def test_one_source_of_three_that_is_four_times_slower_costs_little_with_a_backup() -> None:
    usual, slowed = pulled(600), pulled(600, slow_s=4 * CHUNK_S)
    assert slowed.nodes["x"].slow == [edge("c")]
    assert slowed.nodes["x"].done_at <= 1.3 * usual.nodes["x"].done_at
    assert pulled(600, slow_s=4 * CHUNK_S, backup=False).nodes["x"].done_at > 3 * usual.nodes["x"].done_at


def test_sources_of_equal_speed_are_not_blamed_and_nothing_comes_twice() -> None:
    world = pulled(600)
    assert (world.nodes["x"].slow, world.nodes["x"].strays, world.nodes["m"].sent) == ([], 0, 0)


def test_what_comes_twice_is_no_more_than_was_outstanding_when_others_were_asked() -> None:
    """Each chunk is asked of two at most, and where the network keeps nothing back, cancelling saves all of that."""
    for slow_s in (2.5 * CHUNK_S, 4 * CHUNK_S, 40 * CHUNK_S):
        for buffers in (False, True):
            world = pulled(600, slow_s, buffers=buffers)
            twice = sum(node.sent for node in world.nodes.values()) - 600
            # What was outstanding at the slow source when its backup was called, and what it had at the end.
            assert world.nodes["x"].strays <= twice <= (2 * config.credit_chunks_max if buffers else 0)


def test_a_source_that_dies_is_replaced_by_its_backup_within_the_same_transfer() -> None:
    usual, orphaned = pulled(600), pulled(600, dies_at=0.2)
    assert orphaned.nodes["x"].failures == []
    assert orphaned.nodes["x"].done_at <= usual.nodes["x"].done_at + 2 * config.backup_silence_s


def test_children_of_a_node_that_starves_do_not_blame_it() -> None:
    # given a node that gets one of its stripes slowly, and another that gets that stripe from it
    world = World(seed=1, chunks=300, cap=3)
    for name in "ab":
        world.add(name, holder=True, chunk_s=CHUNK_S)
    world.add("c", holder=True, chunk_s=4 * CHUNK_S)
    for name in "xy":
        world.add(name)
    world.pull("x", edges("abc"))
    world.pull("y", edges("abx"))
    world.run()
    assert world.nodes["x"].slow == [edge("c")]
    assert world.nodes["y"].slow == []
