"""Where is each chunk of a transfer, and who is to bring which?"""

from __future__ import annotations

from tests.transfer.named import backups, edge, edges
from vine.transfer.chunks import Chunks
from vine.transfer.sources import Source


def chunks_of(count: int, sources: str, seconds: str = "", present: tuple[int, ...] = ()) -> Chunks:
    return Chunks(count, present, edges(sources), backups(seconds), 0.0)


def ask(chunks: Chunks, name: str, room: int, now: float = 1.0) -> list[int]:
    source = chunks.sources[edge(name)]
    picked = chunks.pick(source, room)
    source.ask(picked, chunks.layout, now)
    return picked


def source_of(chunks: Chunks, name: str) -> Source:
    return chunks.sources[edge(name)]


def test_a_source_is_asked_for_the_lowest_chunks_of_all_its_stripes() -> None:
    chunks = chunks_of(20, "aba")
    assert ask(chunks, "a", room=4) == [0, 2, 3, 5]
    assert ask(chunks, "b", room=9) == [1, 4, 7, 10, 13, 16, 19]


def test_a_backup_is_asked_only_while_its_source_falters() -> None:
    chunks = chunks_of(9, "abc", "d..")
    assert ask(chunks, "d", room=2) == []
    source_of(chunks, "a").slow = True
    assert ask(chunks, "d", room=2) == [0, 3]
    assert ask(chunks, "a", room=2) == [6]


def test_what_a_doubted_source_was_asked_for_is_asked_first_and_once_more_only() -> None:
    chunks = chunks_of(12, "abc", "d..")
    ask(chunks, "a", room=2)
    source_of(chunks, "a").doubted_at = 2.0
    assert ask(chunks, "d", room=1) == [0]
    assert ask(chunks, "d", room=3) == [3, 6, 9]
    assert ask(chunks, "a", room=9) == [], "its backup brings the rest"


def test_a_doubted_source_is_still_asked_for_a_stripe_without_a_backup() -> None:
    chunks = chunks_of(6, "aab", "c..")
    source_of(chunks, "a").doubted_at = 1.0
    assert ask(chunks, "a", room=9) == [1, 4]


def test_wants_that_are_put_back_are_missing_unless_somebody_else_was_asked() -> None:
    chunks = chunks_of(6, "abc", "d..")
    ask(chunks, "a", room=2)
    source_of(chunks, "d").ask([3], chunks.layout, 1.0)
    chunks.put_back(source_of(chunks, "a"))
    assert [index for index in range(6) if not chunks.is_missing(index)] == [3]


def test_another_number_of_sources_makes_other_stripes_and_keeps_what_is_outstanding() -> None:
    chunks = chunks_of(7, "abc", present=(6,))
    asked = {name: ask(chunks, name, room=1) for name in "abc"}
    assert asked == {"a": [0], "b": [1], "c": [2]}
    chunks.drop(source_of(chunks, "c"))
    chunks.lay_out(edges("ab"), (), chunks.all_missing(), 1.0)
    assert ask(chunks, "a", room=9) == [2, 4]
    assert ask(chunks, "b", room=9) == [3, 5]
    assert [stripe.remaining for stripe in chunks.stripes] == [3, 3]


def test_a_source_that_left_is_known_by_its_number_and_comes_back_under_another() -> None:
    chunks = chunks_of(6, "ab")
    first = source_of(chunks, "a")
    chunks.drop(first)
    chunks.lay_out(edges("ba"), (), chunks.all_missing(), 1.0)
    assert chunks.numbered(first.number) is first and not chunks.is_planned(first)
    assert source_of(chunks, "a").number == 2
    assert chunks.numbered(99) is None is chunks.numbered(-1)


def test_the_second_to_be_asked_is_the_backup_then_whoever_has_it_all() -> None:
    chunks = chunks_of(9, "abc", "d..")
    a, b, c, d = (source_of(chunks, name) for name in "abcd")
    assert chunks.second_for(0, a) is d
    assert chunks.second_for(1, b) is None
    c.complete = True
    assert chunks.second_for(1, b) is c
    d.retry_at = 1.0
    assert chunks.second_for(0, a) is c


def test_only_what_should_have_come_by_now_is_overdue() -> None:
    chunks = chunks_of(9, "ab")
    ask(chunks, "a", room=3, now=0.0)
    assert chunks.overdue(source_of(chunks, "a"), 99.0) == [], "nothing tells how fast it should be"
    for _ in range(10):
        chunks.stripes[1].chunk_came(source_of(chunks, "b"), 1.0)  # one a tenth of a second
    assert chunks.overdue(source_of(chunks, "a"), 0.15) == []
    assert chunks.overdue(source_of(chunks, "a"), 0.21) == [0]
    assert chunks.overdue(source_of(chunks, "a"), 0.31) == [0, 2]


def test_with_patience_the_last_chunks_are_overdue_later() -> None:
    chunks = Chunks(9, (), edges("ab"), (), 0.0, patience=10)
    ask(chunks, "a", room=3, now=0.0)
    for _ in range(10):
        chunks.stripes[1].chunk_came(source_of(chunks, "b"), 1.0)
    assert chunks.overdue(source_of(chunks, "a"), 0.49) == []
    assert chunks.overdue(source_of(chunks, "a"), 0.51) == [0]
