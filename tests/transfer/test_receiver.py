from __future__ import annotations

from tests.transfer.named import backups, edge, edges
from vine import config
from vine.transfer.receiver import (
    Complete,
    Fail,
    Receiver,
    ReportSlow,
    SendCancel,
    SendEnd,
    SendWant,
    StoreChunk,
)
from vine.wire.data import RefusalReason
from vine.wire.parts import FetchFault


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
    assert receiver.next_deadline() == 1.0 + config.want_again_s
    assert receiver.tick(0.9 + config.want_again_s) == []
    assert receiver.tick(1.0 + config.want_again_s) == [want(0, outstanding)]
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
    now, pauses = 0.0, []
    while now < config.edge_silence_s:
        assert receiver.refused(0, RefusalReason.BUSY, now) == []
        again_at = receiver.next_deadline()
        assert again_at is not None
        pauses.append(again_at - now)
        now = again_at
        assert receiver.tick(now) == [want(0, (0, 1, 2))]
    first, second, *_, last = (round(pause, 9) for pause in pauses)
    assert (first, second, last) == (config.busy_retry_first_s, 2 * first, config.busy_retry_s)
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


# --- backups ---


def acts(actions: list, kind: type) -> list:
    return [action for action in actions if isinstance(action, kind)]


def begun(sources: str, seconds: str = "", count: int = 90) -> Receiver:
    receiver = Receiver(count, (), edges(sources), backups(seconds))
    receiver.start(0.0)
    return receiver


def progress(receiver: Receiver, stripes: tuple[int, ...], start: float, seconds: float, have: int | None) -> list:
    """Let these stripes of three bring a chunk each hundredth of a second, from their own sources."""
    actions = []
    for step in range(int(seconds * 100)):
        now = start + step / 100
        for stripe in stripes:
            due = min(receiver.wanted(edge("abc"[stripe])))
            actions += receiver.chunk(stripe, due, have, now) + receiver.stored(due, True, now)
    return actions


def test_a_backup_is_left_in_peace_while_its_source_does_as_it_should() -> None:
    receiver = begun("abc", "def")
    actions = progress(receiver, (0, 1, 2), 0.0, 0.25, None)
    assert {action.source for action in acts(actions, SendWant)} <= set(edges("abc"))


def test_what_a_slow_source_has_and_does_not_send_is_wanted_of_its_backup_and_told_once() -> None:
    # given a source that has said that it has its stripe
    receiver = begun("abc", "d..", count=900)
    progress(receiver, (0, 1, 2), 0.0, 0.1, 900)
    owed = receiver.wanted(edge("a"))
    # when it sends nothing while the others do
    actions = progress(receiver, (1, 2), 0.1, 0.4, 900)
    # then its backup is asked for that, as a backup, and the manager hears of it once
    wants = [action for action in acts(actions, SendWant) if action.source == edge("d")]
    assert wants[0].backup and set(owed) <= set(wanted(wants))
    assert acts(actions, ReportSlow) == [ReportSlow(edge("a"))]
    # and it is asked for nothing more
    assert not [action for action in acts(actions, SendWant) if action.source == edge("a")]


def test_a_source_that_lacks_what_is_wanted_is_helped_out_and_not_blamed() -> None:
    receiver = begun("abc", "d..", count=900)
    progress(receiver, (0,), 0.0, 0.01, 3)  # It has chunk 0 and not chunk 3.
    actions = progress(receiver, (1, 2), 0.0, 1.0, 900)
    assert wanted([action for action in acts(actions, SendWant) if action.source == edge("d")])
    assert acts(actions, ReportSlow) == []


def test_a_source_that_sends_all_that_it_has_whenever_it_has_something_is_not_blamed() -> None:
    receiver = begun("abc", count=900)
    actions = []
    for burst in range(40):
        # What it has comes at once, and is less than the others bring until it has something again.
        now, next_of = burst / 20, min(receiver.wanted(edge("a")))
        actions += deliver(receiver, next_of, now, have=next_of + 4)
        actions += deliver(receiver, next_of + 3, now + 0.001, have=next_of + 6)
        for _ in range(5):
            for source in (1, 2):
                due = min(receiver.wanted(edge("abc"[source])))
                actions += deliver(receiver, due, now + 0.002, have=900, source=source)
    assert acts(actions, ReportSlow) == []


def test_a_source_that_could_have_what_it_lacks_is_blamed_too() -> None:
    """Slow both ways, it has nothing that it does not send; but its own source has more, so the fault is there."""
    for owed in (False, True):
        receiver = begun("abc", "d..", count=900)
        receiver.chunk(0, 0, 3, 0.0, owed)
        receiver.stored(0, True, 0.0)
        reports = acts(progress(receiver, (1, 2), 0.0, 0.5, 900), ReportSlow)
        assert reports == ([ReportSlow(edge("a"))] if owed else [])


def test_a_node_is_not_the_slow_one_if_one_of_its_sources_is() -> None:
    receiver = begun("ab", count=90)
    for step in range(1, 4):
        deliver(receiver, 2 * step + 1, step / 10, source=1)
    deliver(receiver, 0, 0.3, source=0)
    assert not receiver.is_owed(0) and receiver.is_owed(1)


def test_a_node_is_owed_what_its_source_has_and_not_what_that_lacks_too() -> None:
    receiver = begun("ab", count=90)
    deliver(receiver, 0, 0.1, have=4, source=0)
    deliver(receiver, 1, 0.1, have=3, source=1)
    assert receiver.is_owed(0) and not receiver.is_owed(1)
    deliver(receiver, 2, 0.2, have=4, source=0)
    assert not receiver.is_owed(0)


def test_a_source_without_a_backup_is_told_of_and_asked_on() -> None:
    receiver = begun("abc", count=900)
    progress(receiver, (0, 1, 2), 0.0, 0.1, 900)
    assert acts(progress(receiver, (1, 2), 0.1, 0.3, 900), ReportSlow) == [ReportSlow(edge("a"))]
    assert acts(progress(receiver, (0, 1, 2), 0.4, 0.1, 900), SendWant)


def test_what_comes_from_the_backup_first_is_cancelled_at_the_source_and_counts_once() -> None:
    receiver = begun("abc", "d..", count=900)
    progress(receiver, (0, 1, 2), 0.0, 0.1, 900)
    progress(receiver, (1, 2), 0.1, 0.2, 900)
    first = min(receiver.wanted(edge("a")))
    actions = receiver.chunk(3, first, None, 0.4)
    assert StoreChunk(first) in actions and SendCancel(edge("a"), (first,)) in actions
    assert receiver.chunk(0, first, None, 0.4) == [] and receiver.unsolicited == 1


def test_a_source_that_cannot_be_reached_is_replaced_by_its_backup_at_once() -> None:
    receiver = begun("ab", "c.", count=20)
    actions = receiver.unreachable(edge("a").requests_endpoint, 1.0)
    [asked] = acts(actions, SendWant)
    assert (asked.source, asked.chunks, asked.backup) == (edge("c"), (0, 2, 4, 6, 8, 10, 12, 14), True)
    assert not acts(actions, Fail) and acts(actions, ReportSlow) == [ReportSlow(edge("a"), silent=True)]


def test_when_the_backup_is_gone_too_the_source_is_blamed() -> None:
    receiver = begun("ab", "c.", count=20)
    receiver.unreachable(edge("a").requests_endpoint, 1.0)
    [failure] = acts(receiver.unreachable(edge("c").requests_endpoint, 2.0), Fail)
    assert (failure.fault, failure.source) == (FetchFault.SOURCE_GONE, edge("a"))


def test_a_source_is_asked_again_when_its_backup_turns_out_to_be_busy() -> None:
    receiver = begun("abc", "d..", count=900)
    progress(receiver, (0, 1, 2), 0.0, 0.1, 900)
    progress(receiver, (1, 2), 0.1, 0.2, 900)
    first = min(receiver.wanted(edge("a")))
    for index in receiver.wanted(edge("a"))[1:]:
        deliver(receiver, index, 0.4, source=3)
    actions = receiver.refused(3, RefusalReason.BUSY, 0.4)
    assert [action.source for action in acts(actions, SendWant)] == [edge("a")]
    assert receiver.wanted(edge("a"))[0] == first


def test_a_busy_source_is_replaced_by_its_backup_meanwhile() -> None:
    receiver = begun("a", "b", count=4)
    [asked] = acts(receiver.refused(0, RefusalReason.BUSY, 0.1), SendWant)
    assert (asked.source, asked.chunks) == (edge("b"), (0, 1, 2, 3))


def test_a_backup_is_released_when_nothing_more_is_wanted_of_it() -> None:
    receiver = begun("a", "b", count=1)
    receiver.refused(0, RefusalReason.BUSY, 0.1)
    receiver.chunk(1, 0, None, 0.2)
    assert receiver.stored(0, True, 0.2) == [SendEnd(edge("a")), SendEnd(edge("b")), Complete()]


# --- the last chunks ---


def test_the_last_chunk_is_wanted_twice_only_when_it_is_overdue() -> None:
    # given two sources that bring a chunk each tenth of a second, and one chunk left
    receiver = begun("ab", count=20)
    for step in range(10):
        for source in (0, 1):
            if (step, source) != (9, 0):
                deliver(receiver, 2 * step + source, (step + 1) / 10, source=source)
    assert receiver.wanted(edge("a")) == [18]
    # when it should have come twice by now
    assert acts(receiver.tick(1.09), SendWant) == []
    # then whoever has it is asked too, as a backup, for its own stripe is complete
    assert acts(receiver.tick(1.11), SendWant) == [SendWant(edge("b"), (18,), 1, 2, backup=True)]
    assert acts(receiver.tick(1.5), SendWant) == [], "a third time would help nobody"


# --- another plan ---


def test_sources_that_stay_in_a_changed_plan_hear_nothing() -> None:
    receiver = begun("abc", count=90)
    of_c = receiver.wanted(edge("c"))
    actions = receiver.change(edges("abd"), (), 1.0)
    assert actions == [SendEnd(edge("c")), SendWant(edge("d"), tuple(of_c), 3, 3)]
    assert receiver.wanted(edge("a")) == list(range(0, 24, 3))


def test_a_transfer_from_one_source_goes_on_from_three() -> None:
    receiver = begun("a", count=60)
    kept = receiver.wanted(edge("a"))
    actions = receiver.change(edges("abc"), (), 1.0)
    assert receiver.wanted(edge("a")) == kept
    assert all(index % 3 and index not in kept for index in wanted(actions))
    assert {action.source for action in actions} == set(edges("bc"))


def test_a_transfer_from_three_sources_goes_on_from_one() -> None:
    receiver = begun("abc", count=20)
    lost = receiver.wanted(edge("b")) + receiver.wanted(edge("c"))
    actions = receiver.change(edges("a"), (), 1.0)
    assert acts(actions, SendEnd) == [SendEnd(edge("b")), SendEnd(edge("c"))]
    for now in range(2, 40):
        for index in receiver.wanted(edge("a")):
            actions += deliver(receiver, index, now)
    assert sorted(lost) == sorted(wanted(actions)) and actions[-1] == Complete()


def test_a_chunk_that_is_on_its_way_from_a_former_source_is_welcome() -> None:
    receiver = begun("ab", count=4)
    receiver.change(edges("ac"), (), 1.0)
    actions = receiver.chunk(1, 1, None, 1.1)
    assert StoreChunk(1) in actions and SendCancel(edge("c"), (1,)) in actions


def test_a_source_that_is_only_a_backup_from_now_on_gives_its_slot_back() -> None:
    receiver = begun("ab", count=40)
    actions = receiver.change(edges("cb"), backups("a."), 1.0)
    assert SendEnd(edge("a")) in actions and receiver.wanted(edge("a")) == []


def test_a_report_is_armed_again_when_its_source_has_changed() -> None:
    receiver = begun("abc", count=900)
    progress(receiver, (0, 1, 2), 0.0, 0.1, 900)
    progress(receiver, (1, 2), 0.1, 0.2, 900)
    receiver.change(edges("dbc"), (), 0.3)
    receiver.chunk(3, min(receiver.wanted(edge("d"))), None, 0.3)
    assert acts(progress(receiver, (1, 2), 0.3, 0.2, 900), ReportSlow) == [ReportSlow(edge("d"))]


def test_a_plan_that_comes_too_late_changes_nothing() -> None:
    receiver = begun("a", count=1)
    deliver(receiver, 0, 0.1)
    assert receiver.change(edges("b"), (), 1.0) == []
