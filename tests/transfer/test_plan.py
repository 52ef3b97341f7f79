from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine.names import MANAGER, ObjectId, WorkerId
from vine.transfer.plan import Candidate, choose_source, depends_on

OBJECT = ObjectId("c" * 64)
A, B, C, D = (WorkerId(name) for name in "abcd")


def node(name: WorkerId, complete: bool = True, depth: int = 0, free_slots: int = 3) -> Candidate:
    return Candidate(name, complete, depth, free_slots)


def chosen(candidates: list[Candidate], wanter: WorkerId = D, sources_of: dict | None = None, **more: object) -> object:
    choice = choose_source(OBJECT, wanter, candidates, sources_of or {}, **more)
    return choice and choice.node


def test_workers_spare_the_manager_even_when_they_still_receive() -> None:
    assert chosen([node(MANAGER), node(A, complete=False, depth=1)]) == A


def test_the_manager_feeds_those_whom_nobody_else_can() -> None:
    assert chosen([node(MANAGER), node(A, free_slots=0)]) == MANAGER
    assert chosen([node(MANAGER, free_slots=0), node(A, free_slots=0)]) is None
    assert chosen([]) is None


def test_complete_holders_come_first_then_the_nearest_then_the_freest() -> None:
    assert chosen([node(A, complete=False, depth=1), node(B, free_slots=1)]) == B
    assert chosen([node(A, False, depth=2), node(B, False, depth=1, free_slots=1)]) == B
    assert chosen([node(A, free_slots=1), node(B, free_slots=2)]) == B


def test_nobody_is_fed_by_its_own_descendants() -> None:
    sources_of = {A: [D], B: [A], C: [MANAGER]}
    candidates = [node(A, False, 1), node(B, False, 2), node(C, False, 3), node(D, False)]
    assert chosen(candidates, wanter=D, sources_of=sources_of) == C


def test_sources_that_failed_the_wanter_are_avoided() -> None:
    assert chosen([node(A), node(MANAGER)], avoid={A}) == MANAGER


def test_equal_holders_take_turns_over_the_objects() -> None:
    holders = [node(A), node(B), node(C)]
    picks = {choose_source(ObjectId(f"{number:064x}"), D, holders, {}) for number in range(100)}
    assert picks == set(holders)


@given(st.permutations([node(A), node(B), node(C, False, 1), node(MANAGER)]))
def test_the_choice_does_not_depend_on_the_order_of_the_candidates(candidates: list[Candidate]) -> None:
    assert chosen(candidates) == chosen(sorted(candidates, key=lambda candidate: candidate.node))


@given(st.lists(st.sampled_from([A, B, C, D]), min_size=2, max_size=12))
def test_a_tree_that_grows_by_this_choice_never_closes_a_ring(wanters: list[WorkerId]) -> None:
    sources_of: dict[WorkerId, list[WorkerId]] = {}
    for wanter in wanters:  # each comes again and again, as after failures
        receiving = [node(name, False, 1, free_slots=2) for name in sources_of]
        source = choose_source(OBJECT, wanter, [*receiving, node(MANAGER)], sources_of)
        assert source is not None
        sources_of[wanter] = [source.node]
        assert all(depends_on(name, MANAGER, sources_of) for name in sources_of)
