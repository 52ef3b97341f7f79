from __future__ import annotations

from tests.transfer.named import edge, edges
from vine import config
from vine.transfer.receiver import Complete, Fail, Receiver, SendEnd, SendWant, StoreChunk
from vine.wire.data import RefusalReason
from vine.wire.messages import FetchFault


def wanted(actions: list) -> list[int]:
    return [index for action in actions if isinstance(action, SendWant) for index in action.chunks]


def deliver(receiver: Receiver, index: int, now: float, have: int | None = None, source: int = 0) -> list:
    return receiver.chunk(source, index, have, now) + receiver.stored(index, True, now)


def want(source: int, chunks: tuple[int, ...], stripes: int = 1) -> SendWant:
    return SendWant(edge("abc"[source]), chunks, source, stripes)


def test_it_wants_the_first_chunks_in_ascending_order_up_to_its_credit() -> None:
    receiver = Receiver(chunk_count=100, present=(), sources=edges("a"))
    assert receiver.start(now=0.0) == [want(0, tuple(range(config.credit_chunks)))]


def test_chunk_j_comes_from_source_j_mod_n() -> None:
    receiver = Receiver(chunk_count=6, present=(), sources=edges("abc"))
    assert receiver.start(0.0) == [want(0, (0, 3), 3), want(1, (1, 4), 3), want(2, (2, 5), 3)]


def test_an_object_without_chunks_is_complete_at_once_and_needs_no_source() -> None:
    assert Receiver(0, (), edges("")).start(0.0) == [Complete()]


def test_what_is_present_is_not_wanted_again() -> None:
    receiver = Receiver(5, {0, 2, 3}, edges("a"))
    assert receiver.start(0.0) == [want(0, (1, 4))]


def test_when_all_is_present_no_source_is_bothered() -> None:
    assert Receiver(2, {0, 1}, edges("a")).start(0.0) == [Complete()]


def test_it_is_complete_when_every_chunk_is_stored_and_not_before() -> None:
    receiver = Receiver(2, (), edges("a"))
    receiver.start(0.0)
    assert receiver.chunk(0, 1, 2, 0.1) == [StoreChunk(1)]
    assert receiver.stored(1, True, 0.1) == []
    assert receiver.chunk(0, 0, 2, 0.1) == [StoreChunk(0)]
    assert receiver.stored(0, True, 0.2) == [SendEnd(edge("a")), Complete()]
    assert receiver.next_deadline() is None


def test_chunks_that_are_not_yet_written_count_against_the_credit() -> None:
    receiver = Receiver(100, (), edges("a"))
    receiver.start(0.0)
    for index in range(config.credit_chunks):
        assert wanted(receiver.chunk(0, index, 100, 0.0)) == []
    assert receiver.outstanding(edge("a")) == config.credit_chunks
    later = [index for done in range(config.credit_chunks) for index in wanted(receiver.stored(done, True, 0.0))]
    assert later == list(range(config.credit_chunks, config.credit_chunks + len(later)))
    assert len(later) > config.credit_chunks * 3 // 4


def test_what_was_not_asked_for_or_comes_twice_is_ignored_and_counted() -> None:
    receiver = Receiver(100, (), edges("a"))
    receiver.start(0.0)
    receiver.chunk(0, 0, 100, 0.0)
    for index in (0, 99, 100, 5000, -1):
        assert receiver.chunk(0, index, 100, 0.0) == []
    assert receiver.unsolicited == 5


def test_a_silent_source_is_reminded_and_given_up_when_it_has_what_is_wanted() -> None:
    receiver = Receiver(10, (), edges("a"))
    receiver.start(0.0)
    deliver(receiver, 0, 1.0, have=10)
    outstanding = (1, 2, 3, 4, 5, 6, 7)
    assert receiver.next_deadline() == config.want_again_s
    assert receiver.tick(config.want_again_s - 0.1) == []
    assert receiver.tick(config.want_again_s) == [want(0, outstanding)]
    [end, failure] = receiver.tick(1.0 + config.edge_silence_s)
    assert end == SendEnd(edge("a"))
    assert isinstance(failure, Fail) and (failure.fault, failure.source) == (FetchFault.SOURCE_GONE, edge("a"))


def test_a_source_that_still_receives_is_waited_for_longer() -> None:
    receiver = Receiver(10, (), edges("a"))
    receiver.start(0.0)
    deliver(receiver, 0, 0.0, have=1)
    assert not any(isinstance(action, Fail) for action in receiver.tick(config.edge_silence_s))
    assert any(isinstance(action, Fail) for action in receiver.tick(config.receiving_silence_s))


def test_a_source_that_cannot_be_reached_is_gone() -> None:
    receiver = Receiver(10, (), edges("ab"))
    receiver.start(0.0)
    failure = receiver.unreachable(edge("b").requests_endpoint, 1.0)[-1]
    assert isinstance(failure, Fail) and (failure.fault, failure.source) == (FetchFault.SOURCE_GONE, edge("b"))


def test_a_busy_source_is_asked_again_and_given_up_only_after_a_while() -> None:
    receiver = Receiver(3, (), edges("a"))
    receiver.start(0.0)
    now = 0.0
    while now < config.edge_silence_s:
        assert receiver.refused(0, RefusalReason.BUSY, now) == []
        now += config.busy_retry_s
        assert receiver.next_deadline() == now
        assert receiver.tick(now) == [want(0, (0, 1, 2))]
    failure = receiver.refused(0, RefusalReason.BUSY, now)[-1]
    assert isinstance(failure, Fail) and failure.fault is FetchFault.SOURCE_BUSY


def test_a_busy_source_that_serves_at_last_is_not_blamed_for_the_past() -> None:
    receiver = Receiver(100, (), edges("a"))
    receiver.start(0.0)
    receiver.refused(0, RefusalReason.BUSY, 0.0)
    receiver.tick(1.0)
    deliver(receiver, 0, 1.0)
    assert receiver.refused(1, RefusalReason.BUSY, config.edge_silence_s) == []


def test_a_source_without_the_object_or_with_a_changed_file_ends_the_transfer() -> None:
    for reason, fault in (
        (RefusalReason.UNKNOWN, FetchFault.SOURCE_REFUSED),
        (RefusalReason.CHANGED, FetchFault.SOURCE_CHANGED),
    ):
        receiver = Receiver(3, (), edges("a"))
        receiver.start(0.0)
        failure = receiver.refused(0, reason, 0.0)[-1]
        assert isinstance(failure, Fail) and (failure.fault, failure.source) == (fault, edge("a"))


def test_a_bad_chunk_is_wanted_again_and_the_second_one_ends_the_transfer() -> None:
    receiver = Receiver(2, (), edges("a"))
    receiver.start(0.0)
    receiver.chunk(0, 0, 2, 0.0)
    assert receiver.stored(0, False, 0.0) == [want(0, (0,))]
    receiver.chunk(0, 0, 2, 0.0)
    failure = receiver.stored(0, False, 0.0)[-1]
    assert isinstance(failure, Fail) and (failure.fault, failure.source) == (FetchFault.BAD_CHUNKS, edge("a"))
    assert receiver.bad_chunks == 2


def test_an_order_to_stop_frees_every_source_that_still_serves() -> None:
    receiver = Receiver(4, {1, 3}, edges("ab"))
    receiver.start(0.0)  # source 1 has nothing to give and was never asked
    actions = receiver.fail(FetchFault.ABANDONED, "not needed any more")
    assert actions == [SendEnd(edge("a")), Fail(FetchFault.ABANDONED, None, "not needed any more")]
    assert receiver.chunk(0, 0, 4, 0.0) == receiver.stored(0, True, 0.0) == receiver.tick(99.0) == []
