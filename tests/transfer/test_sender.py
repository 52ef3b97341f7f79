from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from vine import config
from vine.names import ObjectId, TransferId
from vine.transfer.sender import SendChunk, Sender, SendRefusal
from vine.wire.data import RefusalReason, Want
from vine.wire.parts import Role

OBJECT = ObjectId("a" * 64)
OTHER = ObjectId("b" * 64)


def want(counter: int, *chunks: int, object_id: ObjectId = OBJECT) -> Want:
    return Want(
        transfer_id=TransferId(1, counter),
        object_id=object_id,
        token=bytes([counter]) * 16,
        reply_to=f"tcp://10.0.0.{counter}:7000",
        reply_role=Role.WORKER,
        chunks=chunks,
    )


def indexes(actions: list) -> list[int]:
    return [action.index for action in actions if isinstance(action, SendChunk)]


def refusals(actions: list) -> list[RefusalReason]:
    return [action.reason for action in actions if isinstance(action, SendRefusal)]


def test_a_held_object_is_served_in_the_order_of_the_wants() -> None:
    sender = Sender(transfers_max=3)
    sender.complete(OBJECT, 10, 0.0)
    [first, second] = sender.want(want(1, 4, 2), True, 0.0)
    assert first == SendChunk(TransferId(1, 1), OBJECT, 4, None, "tcp://10.0.0.1:7000", Role.WORKER)
    assert isinstance(second, SendChunk) and second.index == 2


def test_a_want_without_authority_is_counted_and_gets_no_answer() -> None:
    sender = Sender(3)
    sender.complete(OBJECT, 10, 0.0)
    assert sender.want(want(1, 0), False, 0.0) == []
    assert (sender.unauthorised, sender.flows()) == (1, 0)


def test_chunks_beyond_the_end_of_the_object_are_ignored_and_counted() -> None:
    sender = Sender(3)
    sender.complete(OBJECT, 10, 0.0)
    assert indexes(sender.want(want(1, 9, 10, 1 << 23), True, 0.0)) == [9]
    assert sender.excessive == 2


def test_the_cap_holds_over_all_objects_and_an_end_frees_a_slot() -> None:
    sender = Sender(2)
    sender.complete(OBJECT, 10, 0.0)
    sender.complete(OTHER, 10, 0.0)
    sender.want(want(1, 0), True, 0.0)
    sender.want(want(2, 0, object_id=OTHER), True, 0.0)
    assert refusals(sender.want(want(3, 0), True, 0.0)) == [RefusalReason.BUSY]
    sender.end(TransferId(1, 1), want(1, 0).token)
    assert indexes(sender.want(want(3, 0), True, 0.0)) == [0]
    assert sender.flows_max == 2


def test_only_the_receiver_itself_can_end_its_transfer() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(want(1, 0), True, 0.0)
    sender.end(TransferId(1, 1), b"x" * 16)
    assert (sender.flows(), sender.unauthorised) == (1, 1)


def test_small_objects_have_a_slot_that_a_broadcast_cannot_take() -> None:
    sender = Sender(1, small_transfers=1)
    sender.complete(OBJECT, 100, 0.0)
    sender.complete(OTHER, config.small_object_chunks - 1, 0.0)
    sender.want(want(1, 0), True, 0.0)
    assert refusals(sender.want(want(2, 0), True, 0.0)) == [RefusalReason.BUSY]
    assert indexes(sender.want(want(3, 0, object_id=OTHER), True, 0.0)) == [0]
    assert refusals(sender.want(want(4, 0, object_id=OTHER), True, 0.0)) == [RefusalReason.BUSY]


def test_a_chunk_that_is_not_here_yet_is_sent_when_it_comes() -> None:
    sender = Sender(3)
    sender.receiving(OBJECT, 10, {0}, 0.0)
    assert indexes(sender.want(want(1, 0, 1, 2), True, 0.0)) == [0]
    [sent] = sender.available(OBJECT, 2)
    assert isinstance(sent, SendChunk) and (sent.index, sent.have) == (2, 1)
    assert indexes(sender.complete(OBJECT, 10, 0.0)) == [1]


def test_a_want_that_was_said_twice_is_served_once_until_the_chunk_has_left() -> None:
    sender = Sender(3)
    sender.receiving(OBJECT, 10, {0}, 0.0)
    sender.want(want(1, 0, 1), True, 0.0)
    assert sender.want(want(1, 0, 1), True, 1.0) == []
    sender.sent(TransferId(1, 1), 0)
    assert indexes(sender.want(want(1, 0, 1), True, 2.0)) == [0]  # it had left and was lost
    assert indexes(sender.available(OBJECT, 1)) == [1]


def test_no_transfer_has_more_outstanding_than_the_credit() -> None:
    sender = Sender(3)
    sender.complete(OBJECT, 1000, 0.0)
    wants = [want(1, *range(start, start + 10)) for start in range(0, 200, 10)]
    sent = [index for one in wants for index in indexes(sender.want(one, True, 0.0))]
    assert len(sent) == config.credit_chunks_max
    assert sender.excessive == 200 - config.credit_chunks_max


def test_a_want_that_comes_before_its_object_is_known_is_kept() -> None:
    sender = Sender(3)
    assert sender.want(want(1, 0, 1), True, 0.0) == []
    assert sender.flows() == 0
    assert indexes(sender.receiving(OBJECT, 10, {1}, 1.0)) == [1]
    assert indexes(sender.available(OBJECT, 0)) == [0]


def test_a_want_for_an_object_that_never_comes_is_refused_in_the_end() -> None:
    sender = Sender(3)
    sender.want(want(1, 3), True, 0.0)
    sender.want(want(1, 3), True, 2.0)
    assert sender.next_deadline() == config.edge_silence_s
    [refusal] = sender.tick(config.edge_silence_s)
    assert refusal == SendRefusal(TransferId(1, 1), 0, RefusalReason.UNKNOWN, "tcp://10.0.0.1:7000", Role.WORKER, 3)
    assert sender.next_deadline() is None


def test_the_kept_wants_are_bounded() -> None:
    sender = Sender(3)
    for counter in range(config.wants_parked_max):
        assert sender.want(_numbered(counter), True, 0.0) == []
    assert refusals(sender.want(_numbered(9999), True, 0.0)) == [RefusalReason.BUSY]


def _numbered(counter: int) -> Want:
    return Want(TransferId(7, counter), OBJECT, b"t" * 16, "tcp://10.0.0.1:7000", Role.WORKER, (0,))


def test_a_flow_whose_receiver_is_silent_loses_its_slot() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(want(1, 0), True, 0.0)
    sender.want(want(1, 1), True, 1.0)
    assert sender.next_deadline() == 1.0 + config.edge_silence_s
    sender.tick(1.0 + config.edge_silence_s)
    assert sender.flows() == 0


def test_a_flow_whose_receiver_cannot_be_reached_loses_its_slot() -> None:
    sender = Sender(2)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(want(1, 0), True, 0.0)
    sender.want(want(2, 0), True, 0.0)
    sender.unreachable("tcp://10.0.0.1:7000")
    assert sender.flows() == 1


def test_an_object_that_goes_ends_its_flows_with_a_refusal() -> None:
    sender = Sender(3)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(want(1, 0), True, 0.0)
    assert refusals(sender.gone(OBJECT)) == [RefusalReason.UNKNOWN]
    assert (sender.flows(), sender.knows(OBJECT)) == (0, False)


def test_a_changed_object_is_refused_at_once_until_it_is_made_anew() -> None:
    sender = Sender(3)
    sender.complete(OBJECT, 10, 0.0)
    sender.gone(OBJECT, RefusalReason.CHANGED)
    assert refusals(sender.want(want(1, 0), True, 0.0)) == [RefusalReason.CHANGED]
    sender.complete(OBJECT, 10, 0.0)
    assert indexes(sender.want(want(1, 0), True, 0.0)) == [0]


# --- backups ---


def as_backup(counter: int, *chunks: int) -> Want:
    return msgspec.structs.replace(want(counter, *chunks), backup=True)


def test_a_backup_is_served_from_a_free_slot_and_else_busy() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 10, 0.0)
    assert indexes(sender.want(as_backup(1, 0), True, 0.0)) == [0]
    [refused] = sender.want(as_backup(2, 0), True, 0.0)
    assert isinstance(refused, SendRefusal)
    assert (refused.transfer_id, refused.reason) == (TransferId(1, 2), RefusalReason.BUSY)


def test_a_planned_want_takes_the_slot_of_a_flow_that_is_only_a_backups() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(as_backup(1, 0, 1), True, 0.0)
    [displaced, sent] = sender.want(want(2, 5), True, 0.0)
    assert isinstance(displaced, SendRefusal)
    assert (displaced.transfer_id, displaced.reason) == (TransferId(1, 1), RefusalReason.BUSY)
    assert isinstance(sent, SendChunk) and sent.transfer_id == TransferId(1, 2)
    assert not sender.is_wanted(TransferId(1, 1), 1), "what had not left goes no more"
    assert refusals(sender.want(want(3, 5), True, 0.0)) == [RefusalReason.BUSY], "a planned flow is not displaced"


def test_a_flow_is_what_its_last_want_says_that_it_is() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(as_backup(1, 0), True, 0.0)
    sender.want(want(1, 1), True, 0.0)  # The plan has changed: the source is more than a backup now.
    assert refusals(sender.want(want(2, 5), True, 0.0)) == [RefusalReason.BUSY]


def test_a_cap_that_was_lowered_below_what_runs_is_not_kept_exceeded_by_a_change_of_flows() -> None:
    sender = Sender(2)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(as_backup(1, 0), True, 0.0)
    sender.want(as_backup(2, 0), True, 0.0)
    sender.set_transfers_max(1)
    assert refusals(sender.want(want(3, 0), True, 0.0)) == [RefusalReason.BUSY]
    assert indexes(sender.want(want(3, 0), True, 0.0)) == []


# --- flows that are stale ---


def talking(sender: Sender, until: float, *counters: int) -> None:
    """Flows whose receivers want a chunk each 10 ms."""
    for step in range(int(until * 100)):
        for counter in counters:
            sender.want(want(counter, step), True, step / 100)
            sender.sent(TransferId(1, counter), step)


def test_a_receiver_that_falls_silent_loses_its_slot_to_one_that_is_planned_instead() -> None:
    # given two receivers, one of which dies
    sender = Sender(2)
    sender.complete(OBJECT, 1000, 0.0)
    talking(sender, 1.0, 1, 2)
    sender.want(want(2, 500), True, 1.0)
    # when another is planned, at first nobody's silence is long
    assert refusals(sender.want(want(3, 5), True, 1.03)) == [RefusalReason.BUSY]
    sender.want(want(2, 501), True, 1.07)
    # then, long before it is given up, the silent one yields
    [displaced, sent] = sender.want(want(3, 5), True, 1.08)
    assert isinstance(displaced, SendRefusal) and displaced.transfer_id == TransferId(1, 1)
    assert isinstance(sent, SendChunk) and sent.transfer_id == TransferId(1, 3)


def test_silence_is_measured_by_the_pace_of_the_receiver() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 1000, 0.0)
    for step in range(4):
        sender.want(want(1, step), True, float(step) / 2)
    assert refusals(sender.want(want(2, 5), True, 1.5 + 7 * 0.5)) == [RefusalReason.BUSY]
    assert indexes(sender.want(want(2, 5), True, 1.5 + 8 * 0.5)) == [5]


def test_a_backup_takes_the_slot_of_who_is_silent_though_it_was_sent_what_it_wanted() -> None:
    for here, served in ((True, [0]), (False, [])):
        # given a receiver that is silent, and either has got what it wants or is waiting for what is not here
        sender = Sender(1)
        sender.receiving(OBJECT, 1000, range(101 if here else 100), 0.0)
        talking(sender, 1.0, 1)
        sender.want(want(1, 100), True, 1.0)
        # when a backup is asked
        actions = sender.want(as_backup(2, 0), True, 1.2)
        # then only the first one's silence counts
        assert indexes(actions) == served and refusals(actions) == [RefusalReason.BUSY]


def test_who_is_busy_tells_up_to_where_it_has_the_stripe() -> None:
    sender = Sender(1)
    sender.receiving(OBJECT, 100, {0, 1, 2, 3, 4, 5, 8}, 0.0)
    sender.want(want(1, 0), True, 0.0)
    [refused] = sender.want(msgspec.structs.replace(as_backup(2, 8, 11), stripes=3), True, 0.0)
    assert isinstance(refused, SendRefusal) and (refused.index, refused.have) == (8, 11)
    sender.complete(OBJECT, 100, 0.0)
    [refused] = sender.want(as_backup(2, 8, 11), True, 0.0)
    assert isinstance(refused, SendRefusal) and refused.have is None


steps = st.lists(
    st.tuples(st.sampled_from(("want", "backup", "end", "late")), st.integers(1, 8)), min_size=1, max_size=60
)


@given(st.integers(0, 3), steps)
def test_planned_wants_are_served_before_backups_and_the_cap_is_never_exceeded(
    cap: int, said: list[tuple[str, int]]
) -> None:
    sender = Sender(cap)
    sender.complete(OBJECT, 100, 0.0)
    now, flows = 0.0, {}
    for kind, number in said:
        now += 0.5
        if kind in ("want", "backup"):
            one = want(number, 0) if kind == "want" else as_backup(number, 0)
            actions = sender.want(one, True, now)
            refused = {a.transfer_id.counter for a in actions if isinstance(a, SendRefusal)}
            if number in refused and kind == "want":
                assert len([n for n, planned in flows.items() if planned]) >= cap, "a backup kept it out"
            assert kind == "want" or refused <= {number}, "a backup took a slot from another"
            assert all(flows.get(n, kind == "want") is False for n in refused - {number}), "a planned flow was cut off"
            for gone in refused:
                flows.pop(gone, None)
            if number not in refused:
                flows[number] = kind == "want"
        elif kind == "end":
            sender.end(TransferId(1, number), want(number, 0).token)
            flows.pop(number, None)
        elif kind == "late":
            now += config.edge_silence_s
            sender.tick(now)
            flows.clear()
        assert sender.flows() == len(flows) <= cap


# --- what is not wanted any more ---


def test_a_chunk_that_was_cancelled_is_not_sent_when_it_comes() -> None:
    sender = Sender(3)
    sender.receiving(OBJECT, 10, (), 0.0)
    sender.want(want(1, 0, 1), True, 0.0)
    sender.cancel(TransferId(1, 1), want(1, 0).token, (0, 7))
    assert sender.available(OBJECT, 0) == []
    assert indexes(sender.available(OBJECT, 1)) == [1]


def test_a_chunk_that_has_not_left_is_not_wanted_once_it_is_cancelled_until_it_is_wanted_again() -> None:
    sender = Sender(3)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(want(1, 0, 1), True, 0.0)
    sender.cancel(TransferId(1, 1), want(1, 0).token, (0,))
    assert [sender.is_wanted(TransferId(1, 1), index) for index in (0, 1)] == [False, True]
    assert sender.want(want(1, 0), True, 0.1) == []
    assert sender.is_wanted(TransferId(1, 1), 0)


def test_only_the_receiver_itself_can_cancel() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 10, 0.0)
    sender.want(want(1, 0), True, 0.0)
    sender.cancel(TransferId(1, 1), b"x" * 16, (0,))
    assert sender.is_wanted(TransferId(1, 1), 0) and sender.unauthorised == 1


def test_a_kept_want_can_be_cancelled_too() -> None:
    sender = Sender(1)
    sender.want(want(1, 0, 1), True, 0.0)
    sender.cancel(TransferId(1, 1), want(1, 0).token, (0,))
    assert indexes(sender.complete(OBJECT, 10, 0.1)) == [1]


# --- how much is here ---


def test_each_chunk_tells_up_to_where_its_stripe_is_here() -> None:
    sender = Sender(3)
    sender.receiving(OBJECT, 12, {0, 3, 6, 1, 7}, 0.0)
    sent = sender.want(msgspec.structs.replace(want(1, 0, 1, 7), stripes=3), True, 0.0)
    assert [(action.index, action.have) for action in sent if isinstance(action, SendChunk)] == [(0, 9), (1, 4), (7, 4)]
    sender.available(OBJECT, 4)
    [sent] = sender.want(msgspec.structs.replace(want(2, 1), stripes=3), True, 0.0)
    assert isinstance(sent, SendChunk) and sent.have == 10
    [sent] = sender.want(want(3, 1), True, 0.0)
    assert isinstance(sent, SendChunk) and sent.have == 2, "without stripes it is the beginning of the object"


def test_answers_name_the_edge_that_was_asked() -> None:
    sender = Sender(1)
    sender.complete(OBJECT, 10, 0.0)
    [sent] = sender.want(msgspec.structs.replace(want(1, 0), edge=4), True, 0.0)
    [refused] = sender.want(msgspec.structs.replace(want(2, 0), edge=5), True, 0.0)
    assert (sent.edge, refused.edge) == (4, 5)
