"""Which envelopes are still owed to the other end: exactly once, in order, over connections that break.

A session outlives its connections. Each end numbers its payloads from 1 and keeps them until the
other end has acknowledged them. Both directions follow the same rules:

- A payload that is the next one is accepted; an older one is a duplicate, a later one shows a gap.
- Who sees a gap answers at once with RESEND; the sender goes back to the first unacknowledged one.
- Who waits too long for an acknowledgement, or has just reconnected, asks: ASK carries the number of
  the last payload sent. The other end answers at once, with RESEND if it lacks any. So a slow
  peer costs a header a second, and nothing is sent again that only waits in a queue.
- Acknowledgements ride on payloads; where there are none, a header of its own carries them.
- A session is known from its first payload on. Whatever else comes of a session that the listening
  end does not know is answered UNKNOWN. If the connecting end had not been heard yet, it sends its
  first payload again; if it had, the session has been forgotten, and it opens a new one.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Annotated, NamedTuple

import msgspec

from vine import config
from vine.errors import MalformedMessage
from vine.wire.parts import Count

SESSION_BYTES = 16

MORE = 1  # The next payload continues this one.
ASK = 2  # No payload: `sequence` is the last one that I sent; tell me at once how far you have come.
RESEND = 4  # I lack what follows `acknowledged`: send it again.
UNKNOWN = 8  # I do not know this session. With KNOWN: and you have heard of me in it, so I have forgotten it.
KNOWN = 16  # I have heard of you in this session.


class Header(msgspec.Struct, frozen=True, array_like=True):
    """The first frame of every envelope; the second is there if it carries a payload."""

    session: Annotated[bytes, msgspec.Meta(min_length=SESSION_BYTES, max_length=SESSION_BYTES)]
    sequence: Count  # the payload's number, from 1; 0 without a payload, but see ASK
    acknowledged: Count  # I have all payloads up to this one
    flags: Annotated[int, msgspec.Meta(ge=0, le=31)] = 0

    @property
    def carries_payload(self) -> bool:
        return self.sequence > 0 and not self.flags & ASK


_encode_header = msgspec.msgpack.Encoder().encode
_decode_header = msgspec.msgpack.Decoder(Header).decode


def pack_header(header: Header) -> bytes:
    return _encode_header(header)


def unpack_header(frame: bytes) -> Header:
    try:
        return _decode_header(frame)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedMessage(f"header: {error}") from None


def opens_session(header: Header) -> bool:
    """Whether this envelope may make a session known; any other one of an unknown session is told so."""
    return header.carries_payload and header.sequence == 1 and not header.flags & KNOWN


def unknown_session(header: Header) -> bytes:
    """The header that answers an envelope of a session that is not known here."""
    return pack_header(Header(header.session, 0, 0, UNKNOWN | header.flags & KNOWN))


class Verdict(enum.Enum):
    """What a received envelope means for the one who holds the session."""

    ACCEPT = "accept"  # take the payload
    NOTHING = "nothing"  # there was no payload to take
    DUPLICATE = "duplicate"  # drop the payload: it was accepted before
    GAP = "gap"  # drop the payload: an earlier one is missing and has been asked for
    UNKNOWN = "unknown"  # the other end does not know the session: open a new one
    MALFORMED = "malformed"  # it acknowledges what was never sent


class Envelope(NamedTuple):
    """What is to be put on the socket; without a payload it is one frame."""

    sequence: int
    header: bytes
    payload: bytes | None


class _Kept(NamedTuple):
    sequence: int
    flags: int
    payload: bytes


class Session:
    """One end of a session."""

    def __init__(self, session_id: bytes, now: float) -> None:
        assert len(session_id) == SESSION_BYTES
        self.session_id = session_id
        self.heard_at = now
        self.kept_bytes = 0  # of payloads that are not acknowledged
        self._waiting: deque[_Kept] = deque()  # to be sent, or sent again, as the window allows
        self._flight: deque[_Kept] = deque()  # sent, not acknowledged
        self._flight_bytes = 0
        self._numbered = 0  # the last number given to a payload
        self._sent = 0  # the highest number that was ever sent
        self._acknowledged = 0  # by the other end
        self._received = 0  # all up to this one
        self._gap_told = -1  # a gap behind this number was told already
        self._said_at = now
        self._progress_at = now  # when the first payload in flight was sent, acknowledged or asked for
        self._blocked_until = now
        self._denied_at = now - config.resend_after_s
        self._owed = 0  # payloads accepted since our last acknowledgement
        self._owed_since = now
        self._answer = 0  # flags of a header that is due at once
        self._answer_due = False

    @property
    def overflown(self) -> bool:
        """Whether the other end has let more pile up than we keep."""
        return self.kept_bytes > config.unacknowledged_bytes_max

    def send(self, payload: bytes, more: bool = False) -> None:
        self._numbered += 1
        self.kept_bytes += len(payload)
        self._waiting.append(_Kept(self._numbered, MORE if more else 0, payload))

    def ask(self) -> None:
        """The connection is new: what was in flight may be lost, and the other end may not know our address."""
        self._answer |= ASK
        self._answer_due = True

    def acknowledge(self) -> None:
        """Say at once what has been received: the session is about to end, and the other end may wait to leave."""
        self._answer_due = True

    def outgoing(self, now: float) -> list[Envelope]:
        """What to put on the socket now, in order; it counts as sent unless `blocked` says otherwise."""
        if now < self._blocked_until:
            return []
        out = self._window(now)
        if self._flight and now >= self._progress_at + config.resend_after_s:
            self.ask()
        heartbeat = not out and now >= self._said_at + config.heartbeat_interval_s
        owed = self._owed and (self._owed >= config.ack_after_envelopes or now >= self._owed_since + config.ack_after_s)
        if self._answer_due or heartbeat or owed:
            out.append(self._bare_header(now))
        if out:
            self._said_at = now
            self._owed = 0
        return out

    def blocked(self, envelope: Envelope, now: float) -> None:
        """The socket took neither this envelope nor those after it: they wait a little."""
        self._blocked_until = now + config.blocked_retry_s
        if envelope.payload is not None:
            self._back_to(envelope.sequence)

    def receive(self, header: Header, now: float) -> Verdict:
        """Take note of an envelope of this session; after it, `outgoing` may have an answer."""
        if header.flags & UNKNOWN:
            return self._denied(header, now)
        if header.acknowledged > self._sent:
            return Verdict.MALFORMED
        self.heard_at = now
        self._note_acknowledged(header, now)
        if header.flags & ASK:
            self._answer_due = True
            if header.sequence > self._received:
                self._answer |= RESEND
        if not header.carries_payload:
            return Verdict.NOTHING
        if header.sequence <= self._received:
            self._answer_due = True
            return Verdict.DUPLICATE
        if header.sequence > self._received + 1:
            self._tell_gap()
            return Verdict.GAP
        self._received += 1
        if not self._owed:
            self._owed_since = now
        self._owed += 1
        return Verdict.ACCEPT

    def next_deadline(self) -> float:
        """When `outgoing` has something to say even if nothing happens until then."""
        if self._answer_due or self._owed >= config.ack_after_envelopes or (self._waiting and self._has_room()):
            return self._blocked_until
        deadline = self._said_at + config.heartbeat_interval_s
        if self._owed:
            deadline = min(deadline, self._owed_since + config.ack_after_s)
        if self._flight:
            deadline = min(deadline, self._progress_at + config.resend_after_s)
        return max(deadline, self._blocked_until)

    def _known(self) -> int:
        """The flag KNOWN, if it is true."""
        return KNOWN if self._acknowledged or self._received else 0

    def _has_room(self) -> bool:
        return len(self._flight) < config.window_envelopes and self._flight_bytes < config.window_bytes

    def _window(self, now: float) -> list[Envelope]:
        out: list[Envelope] = []
        while self._waiting and self._has_room():
            kept = self._waiting.popleft()
            if not self._flight:
                self._progress_at = now
            self._flight.append(kept)
            self._flight_bytes += len(kept.payload)
            self._sent = max(self._sent, kept.sequence)
            header = pack_header(Header(self.session_id, kept.sequence, self._received, kept.flags | self._known()))
            out.append(Envelope(kept.sequence, header, kept.payload))
        return out

    def _bare_header(self, now: float) -> Envelope:
        sequence = 0
        if self._answer & ASK:
            self._progress_at = now
            sequence = self._flight[-1].sequence if self._flight else self._acknowledged
        header = Header(self.session_id, sequence, self._received, self._answer | self._known())
        self._answer, self._answer_due = 0, False
        return Envelope(sequence, pack_header(header), None)

    def _note_acknowledged(self, header: Header, now: float) -> None:
        if header.acknowledged < self._acknowledged:
            return  # Late word: newer has been heard.
        if header.acknowledged > self._acknowledged:
            self._acknowledged = header.acknowledged
            self._progress_at = now
            for queue in (self._flight, self._waiting):
                while queue and queue[0].sequence <= self._acknowledged:
                    kept = queue.popleft()
                    self.kept_bytes -= len(kept.payload)
                    if queue is self._flight:
                        self._flight_bytes -= len(kept.payload)
        if header.flags & RESEND:
            self._back_to(self._acknowledged + 1)

    def _back_to(self, sequence: int) -> None:
        """Whatever is in flight from this number on is to be sent again."""
        while self._flight and self._flight[-1].sequence >= sequence:
            kept = self._flight.pop()
            self._flight_bytes -= len(kept.payload)
            self._waiting.appendleft(kept)

    def _tell_gap(self) -> None:
        """Once a gap: the many envelopes behind it need not each ask. If that is lost, the sender's ASK helps."""
        if self._gap_told != self._received:
            self._gap_told = self._received
            self._answer |= RESEND
            self._answer_due = True

    def _denied(self, header: Header, now: float) -> Verdict:
        """Nothing of ours is known there: our first payload was lost, or the other end has forgotten us."""
        self.heard_at = now
        if header.flags & KNOWN:
            return Verdict.UNKNOWN
        if self._known():
            return Verdict.NOTHING  # Late word: our first payload has arrived since.
        if now >= self._denied_at + config.resend_after_s:  # Else two ends that disagree would never rest.
            self._denied_at = now
            self._back_to(1)
        return Verdict.NOTHING
