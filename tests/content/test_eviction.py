"""Only what is spare and not in use goes, the least recently used first, and never in vain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine.content.eviction import Shelf
from vine.names import ObjectId

A, B, C = (ObjectId(letter * 64) for letter in "abc")


def shelf_of(**sizes: int) -> Shelf:
    shelf = Shelf()
    for letter, size in sizes.items():
        shelf.spare(ObjectId(letter * 64), size)
    return shelf


def test_the_least_recently_used_go_first_and_no_more_than_needed() -> None:
    shelf = shelf_of(a=10, b=10, c=10)
    shelf.used(A)
    assert shelf.give_up(15) == [B, C]
    assert not shelf.is_spare(B)
    assert shelf.free_able_bytes == 10


def test_a_pin_keeps_an_object_and_its_end_is_a_use() -> None:
    shelf = shelf_of(a=10, b=10)
    shelf.pin(A)
    shelf.pin(A)
    assert shelf.give_up(11) == []
    shelf.unpin(A)
    assert shelf.is_pinned(A)
    shelf.unpin(A)
    assert shelf.give_up(1) == [B]


def test_what_is_not_spare_any_more_stays() -> None:
    shelf = shelf_of(a=10)
    shelf.keep(A)
    assert shelf.give_up(1) == []


def test_an_unpin_without_its_pin_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Shelf().unpin(A)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 20)),
    st.sets(st.sampled_from("abcdefgh")),
    st.integers(0, 100),
)
def test_room_is_made_exactly_where_it_can_be(sizes: dict[str, int], pinned: set[str], wanted: int) -> None:
    shelf = shelf_of(**sizes)
    for letter in pinned:
        shelf.pin(ObjectId(letter * 64))
    able = sum(size for letter, size in sizes.items() if letter not in pinned)
    assert shelf.free_able_bytes == able
    gone = {key[0] for key in shelf.give_up(wanted)}
    freed = sum(sizes[letter] for letter in gone)
    assert not gone & pinned
    assert freed >= wanted if able >= wanted else not gone
    assert shelf.free_able_bytes == able - freed
