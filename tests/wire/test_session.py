"""Exactly once and in order, whatever a network does, and without more traffic than that needs."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vine import config
from vine.errors import MalformedMessage
from vine.wire.session import (
    ASK,
    KNOWN,
    RESEND,
    UNKNOWN,
    Envelope,
    Header,
    Session,
    Verdict,
    opens_session,
    pack_header,
    unknown_session,
    unpack_header,
)

SESSION = b"s" * 16


def session() -> Session:
    return Session(SESSION, 0.0)


def send(sender: Session, *payloads: bytes) -> None:
    for payload in payloads:
        sender.send(payload)


def deliver(envelopes: Iterable[Envelope], receiver: Session, now: float = 0.0) -> list[bytes]:
    """What the receiver accepts of these."""
    accepted = []
    for envelope in envelopes:
        if receiver.receive(unpack_header(envelope.header), now) is Verdict.ACCEPT:
            assert envelope.payload is not None
            accepted.append(envelope.payload)
    return accepted


def headers(envelopes: Iterable[Envelope]) -> list[Header]:
    return [unpack_header(envelope.header) for envelope in envelopes]


def payloads(envelopes: Iterable[Envelope]) -> list[bytes]:
    return [envelope.payload for envelope in envelopes if envelope.payload is not None]


# --- the good way --------------------------------------------------------------------------------


def test_payloads_arrive_in_order_and_are_forgotten_once_acknowledged() -> None:
    near, far = session(), session()
    send(near, b"a", b"b", b"c")
    assert deliver(near.outgoing(0.0), far) == [b"a", b"b", b"c"]
    assert near.kept_bytes == 3
    deliver(far.outgoing(config.ack_after_s), near)
    assert near.kept_bytes == 0


def test_an_acknowledgement_rides_on_an_answer() -> None:
    near, far = session(), session()
    send(near, b"question")
    deliver(near.outgoing(0.0), far)
    send(far, b"answer")
    answer = far.outgoing(0.0)
    assert [(header.sequence, header.acknowledged) for header in headers(answer)] == [(1, 1)]


def test_an_acknowledgement_waits_for_an_answer_and_not_longer() -> None:
    near, far = session(), session()
    send(near, b"a")
    deliver(near.outgoing(0.0), far)
    assert far.outgoing(0.0) == []
    assert far.next_deadline() == config.ack_after_s
    assert [header.acknowledged for header in headers(far.outgoing(config.ack_after_s))] == [1]


def test_many_payloads_are_acknowledged_at_once() -> None:
    near, far = session(), session()
    send(near, *[b"a"] * config.ack_after_envelopes)
    deliver(near.outgoing(0.0), far)
    assert far.next_deadline() <= 0.0
    assert len(far.outgoing(0.0)) == 1


def test_who_has_nothing_to_say_says_so_every_interval() -> None:
    near = session()
    assert near.outgoing(0.0) == []
    assert near.next_deadline() == config.heartbeat_interval_s
    assert headers(near.outgoing(config.heartbeat_interval_s)) == [Header(SESSION, 0, 0, 0)]
    assert near.outgoing(config.heartbeat_interval_s) == []


# --- limits --------------------------------------------------------------------------------------


def test_no_more_is_in_flight_than_the_window_holds() -> None:
    near, far = session(), session()
    send(near, *[b"a"] * (config.window_envelopes + 5))
    first = near.outgoing(0.0)
    assert len(first) == config.window_envelopes
    assert near.outgoing(0.0) == []
    deliver(first, far)
    deliver(far.outgoing(0.0), near)
    assert len(near.outgoing(0.0)) == 5


def test_no_more_bytes_are_in_flight_than_the_window_holds() -> None:
    near = session()
    half = bytes(config.window_bytes // 2)
    send(near, half, half, half)
    assert len(near.outgoing(0.0)) == 2


def test_a_peer_that_reads_nothing_is_noticed() -> None:
    near = session()
    big = bytes(config.unacknowledged_bytes_max // 4)
    send(near, *[big] * 4)
    assert not near.overflown
    send(near, b"x")
    assert near.overflown


def test_what_the_socket_does_not_take_is_sent_a_little_later() -> None:
    near, far = session(), session()
    send(near, b"a", b"b", b"c")
    out = near.outgoing(0.0)
    near.blocked(out[1], 0.0)
    assert deliver(out[:1], far) == [b"a"]
    assert near.outgoing(0.0) == []
    assert near.next_deadline() == config.blocked_retry_s
    assert deliver(near.outgoing(config.blocked_retry_s), far) == [b"b", b"c"]


# --- losses --------------------------------------------------------------------------------------


def test_a_gap_is_told_once_and_filled() -> None:
    near, far = session(), session()
    send(near, b"a", b"b", b"c", b"d")
    out = near.outgoing(0.0)
    assert deliver([out[0], out[2], out[3]], far) == [b"a"]
    told = far.outgoing(0.0)
    assert [(header.acknowledged, header.flags) for header in headers(told)] == [(1, RESEND | KNOWN)]
    deliver(told, near)
    assert deliver(near.outgoing(0.0), far) == [b"b", b"c", b"d"]


def test_a_duplicate_is_dropped_and_acknowledged_at_once() -> None:
    near, far = session(), session()
    send(near, b"a")
    out = near.outgoing(0.0)
    assert deliver([*out, *out], far) == [b"a"]
    assert [header.acknowledged for header in headers(far.outgoing(0.0))] == [1]


def test_who_waits_too_long_asks_and_sends_no_payload_again() -> None:
    near = session()
    send(near, b"a", b"b")
    near.outgoing(0.0)
    assert near.next_deadline() == config.resend_after_s
    asked = near.outgoing(config.resend_after_s)
    assert headers(asked) == [Header(SESSION, 2, 0, ASK)]
    assert payloads(asked) == []


def test_a_slow_peer_is_sent_nothing_twice() -> None:
    near, far = session(), session()
    send(near, b"a", b"b")
    queue = [*near.outgoing(0.0), *near.outgoing(config.resend_after_s), *near.outgoing(2 * config.resend_after_s)]
    now = 2.5 * config.resend_after_s
    assert deliver(queue, far, now) == [b"a", b"b"]
    deliver(far.outgoing(now), near, now)
    assert near.kept_bytes == 0
    assert payloads(near.outgoing(now)) == []


def test_what_a_broken_connection_took_is_sent_again_after_one_question() -> None:
    near, far = session(), session()
    send(near, b"a", b"b", b"c")
    deliver(near.outgoing(0.0)[:1], far)
    near.ask()
    assert near.next_deadline() <= 0.0
    deliver(near.outgoing(0.0), far)
    answer = far.outgoing(0.0)
    assert [header.flags for header in headers(answer)] == [RESEND | KNOWN]
    deliver(answer, near)
    assert deliver(near.outgoing(0.0), far) == [b"b", b"c"]


def test_a_late_request_to_send_again_is_ignored() -> None:
    near = session()
    send(near, b"a", b"b")
    near.outgoing(0.0)
    near.receive(Header(SESSION, 0, 2, 0), 0.0)
    near.receive(Header(SESSION, 0, 0, RESEND), 0.0)
    assert near.outgoing(0.0) == []


# --- the other end knows nothing -----------------------------------------------------------------


def test_if_the_first_payload_was_lost_everything_is_sent_again() -> None:
    near = session()
    send(near, b"hello", b"more")
    near.outgoing(0.0)
    assert near.receive(unpack_header(unknown_session(Header(SESSION, 2, 0))), 0.0) is Verdict.NOTHING
    assert payloads(near.outgoing(0.0)) == [b"hello", b"more"]


def test_two_ends_that_disagree_about_the_first_payload_rest_between_attempts() -> None:
    near = session()
    send(near, b"hello")
    near.outgoing(0.0)
    near.receive(Header(SESSION, 0, 0, UNKNOWN), 0.0)
    near.outgoing(0.0)
    near.receive(Header(SESSION, 0, 0, UNKNOWN), 0.0)
    assert payloads(near.outgoing(0.0)) == []
    near.receive(Header(SESSION, 0, 0, UNKNOWN), config.resend_after_s)
    assert payloads(near.outgoing(config.resend_after_s)) == [b"hello"]


def test_a_session_that_was_known_and_is_no_more_is_over() -> None:
    near, far = session(), session()
    send(near, b"hello")
    deliver(near.outgoing(0.0), far)
    deliver(far.outgoing(config.ack_after_s), near)
    (asked,) = headers(near.outgoing(config.heartbeat_interval_s + config.ack_after_s))
    assert near.receive(unpack_header(unknown_session(asked)), 1.0) is Verdict.UNKNOWN


def test_a_late_word_that_a_session_was_not_known_yet_is_ignored() -> None:
    near, far = session(), session()
    send(near, b"hello")
    deliver(near.outgoing(0.0), far)
    deliver(far.outgoing(config.ack_after_s), near)
    assert near.receive(Header(SESSION, 0, 0, UNKNOWN), 1.0) is Verdict.NOTHING


def test_a_forgotten_session_is_not_made_known_again_by_its_first_payload() -> None:
    assert opens_session(Header(SESSION, 1, 0))
    assert not opens_session(Header(SESSION, 1, 0, KNOWN))
    assert not opens_session(Header(SESSION, 1, 0, ASK))
    assert not opens_session(Header(SESSION, 2, 0))


# --- nonsense ------------------------------------------------------------------------------------


def test_an_acknowledgement_of_what_was_never_sent_changes_nothing() -> None:
    near = session()
    send(near, b"a")
    assert near.receive(Header(SESSION, 0, 1, 0), 0.0) is Verdict.MALFORMED
    assert payloads(near.outgoing(0.0)) == [b"a"]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc0",
        b"\x94" * 100_000,
        pack_header(Header(b"short", 1, 0)),
        pack_header(Header(SESSION, -1, 0)),
        pack_header(Header(SESSION, 1, 0, 32)),
        pack_header(Header(SESSION, 1 << 63, 0)),
        pack_header(Header(SESSION, 1, 0))[:-1],
        pack_header(Header(SESSION, 1, 0)) + b"\x00",
    ],
)
def test_a_header_that_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        unpack_header(frame)


# --- any network ---------------------------------------------------------------------------------

NEAR, FAR = "near", "far"


class Network(RuleBasedStateMachine):
    """A connecting and a listening end over a network that loses, doubles, reorders and breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.near = session()
        self.far: Session | None = None
        self.sent: dict[str, list[bytes]] = {NEAR: [], FAR: []}
        self.got: dict[str, list[bytes]] = {NEAR: [], FAR: []}
        self.wire: dict[str, list[Envelope]] = {NEAR: [], FAR: []}  # on the way to this end

    def end(self, name: str) -> Session | None:
        return self.near if name == NEAR else self.far

    @rule(name=st.sampled_from([NEAR, FAR]), count=st.integers(1, 40))
    def say(self, name: str, count: int) -> None:
        end = self.end(name)
        if end is not None:
            for _ in range(count):
                payload = b"%d" % len(self.sent[name])
                self.sent[name].append(payload)
                end.send(payload)

    @rule(name=st.sampled_from([NEAR, FAR]))
    def flush(self, name: str) -> None:
        end = self.end(name)
        if end is not None:
            self.wire[FAR if name == NEAR else NEAR] += end.outgoing(self.now)

    @rule(name=st.sampled_from([NEAR, FAR]), kept=st.integers(0, 60))
    def flush_into_a_full_socket(self, name: str, kept: int) -> None:
        end = self.end(name)
        if end is not None:
            out = end.outgoing(self.now)
            self.wire[FAR if name == NEAR else NEAR] += out[:kept]
            if kept < len(out):
                end.blocked(out[kept], self.now)

    @rule(name=st.sampled_from([NEAR, FAR]), count=st.integers(1, 60))
    def arrive(self, name: str, count: int) -> None:
        arrived, self.wire[name] = self.wire[name][:count], self.wire[name][count:]
        for envelope in arrived:
            self.take(name, envelope)

    @precondition(lambda self: self.wire[NEAR] or self.wire[FAR])
    @rule(data=st.data())
    def lose_double_or_reorder(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name in (NEAR, FAR) if self.wire[name]]))
        at = data.draw(st.integers(0, len(self.wire[name]) - 1))
        envelope = self.wire[name].pop(at)
        for _ in range(data.draw(st.integers(0, 2))):
            self.wire[name].insert(data.draw(st.integers(0, len(self.wire[name]))), envelope)

    @rule(lost=st.booleans(), noticed=st.booleans())
    def break_the_connection(self, lost: bool, noticed: bool) -> None:
        if lost:
            self.wire = {NEAR: [], FAR: []}
        if noticed:
            self.near.ask()
            if self.far is not None:
                self.far.ask()

    @rule(seconds=st.sampled_from([0.01, config.ack_after_s, config.resend_after_s]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    def take(self, name: str, envelope: Envelope) -> None:
        header = unpack_header(envelope.header)
        if name == FAR and self.far is None:
            if not opens_session(header):
                self.wire[NEAR].append(Envelope(0, unknown_session(header), None))
                return
            self.far = Session(SESSION, self.now)
        end = self.end(name)
        assert end is not None
        verdict = end.receive(header, self.now)
        assert verdict not in (Verdict.MALFORMED, Verdict.UNKNOWN)
        if verdict is Verdict.ACCEPT:
            assert envelope.payload is not None
            self.got[name].append(envelope.payload)

    @invariant()
    def what_arrived_is_a_beginning_of_what_was_sent(self) -> None:
        assert self.got[FAR] == self.sent[NEAR][: len(self.got[FAR])]
        assert self.got[NEAR] == self.sent[FAR][: len(self.got[NEAR])]

    def teardown(self) -> None:
        """Over a network that has healed, everything arrives, and then there is rest."""
        if not self.sent[NEAR]:
            return
        for _ in range(200):
            self.flush(NEAR)
            self.flush(FAR)
            if not self.wire[NEAR] and not self.wire[FAR]:
                if self.settled():
                    break
                self.now = min(end.next_deadline() for end in (self.near, self.far) if end is not None)
            self.arrive(FAR, len(self.wire[FAR]))
            self.arrive(NEAR, len(self.wire[NEAR]))
        assert self.settled()
        assert (self.got[FAR], self.got[NEAR]) == (self.sent[NEAR], self.sent[FAR])

    def settled(self) -> bool:
        return self.near.kept_bytes == 0 and self.far is not None and self.far.kept_bytes == 0


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
