from __future__ import annotations

from vine import config
from vine.names import ObjectId, TransferId
from vine.transfer.sender import SendChunk, Sender, SendRefusal
from vine.wire.data import RefusalReason, Want
from vine.wire.messages import Role

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
    assert refusal == SendRefusal(TransferId(1, 1), 0, RefusalReason.UNKNOWN, "tcp://10.0.0.1:7000", Role.WORKER)
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
