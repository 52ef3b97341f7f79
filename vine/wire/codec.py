"""How do messages become bytes and come back checked: one pass of msgspec's MessagePack each way.

Decoding is typed: what a field may be, how long it may get and how deep it nests is said by the
messages' declarations, and nothing else is ever built. Lengths that a peer announces allocate
nothing before their bytes are there.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from vine import config
from vine.errors import MalformedMessage
from vine.wire.messages import Message

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

_POSITION = re.compile(r"\$\[([1-9]\d*)\]")  # of a field in its message, behind the tag

# What msgspec raises of bytes that are not what they should be; the last of what nests without end.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_encode = msgspec.msgpack.Encoder().encode


def encode_one(message: Message) -> bytes:
    """A message as it travels on data sockets: alone in its frame."""
    return _encode(message)


def encode(messages: Sequence[Message]) -> bytes:
    """Messages as they travel in an envelope."""
    return _joined([_encode(message) for message in messages])


def _joined(encoded: Sequence[bytes]) -> bytes:
    """A MessagePack array of what is encoded already."""
    count = len(encoded)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return head + b"".join(encoded)


def count_malformed(counts: Counter[str], malformed: MalformedMessage) -> None:
    """Count a dropped message by what was wrong with it; the first of each kind goes to the log."""
    reason = str(malformed)[: config.name_chars_max]
    if reason not in counts:
        if len(counts) >= config.malformed_kinds_max:
            reason = "others"
        log.warning("dropped a message: %s", reason)
    counts[reason] += 1


class Decoder(Generic[M]):
    """Admits the messages of one union; `union` is the type, as in `Decoder(FromWorker)`."""

    def __init__(self, union: Any) -> None:
        self._batch = msgspec.msgpack.Decoder(tuple[union, ...])
        self._one = msgspec.msgpack.Decoder(union)
        self._fields: dict[object, tuple[str, ...]] = {
            kind.__struct_config__.tag: kind.__struct_fields__ for kind in getattr(union, "__args__", (union,))
        }

    def decode(self, data: bytes | memoryview) -> tuple[M, ...]:
        """The messages of an envelope's payload; MalformedMessage if any of them is none."""
        try:
            messages: tuple[M, ...] = self._batch.decode(data)
        except UNDECODABLE as error:
            raise MalformedMessage(self._explain(data, error)) from None
        return messages

    def decode_one(self, data: bytes | memoryview) -> M:
        """The message that fills a data socket's frame."""
        try:
            message: M = self._one.decode(data)
        except UNDECODABLE as error:
            raise MalformedMessage(self._name(data, error)) from None
        return message

    def _explain(self, data: bytes | memoryview, error: Exception) -> str:
        """Which message of the batch it was, and which field of it."""
        try:
            raws = msgspec.msgpack.decode(data, type=list[msgspec.Raw])
        except UNDECODABLE:
            return f"batch: {error}"
        for raw in raws:
            try:
                self.decode_one(memoryview(raw))
            except MalformedMessage as malformed:
                return str(malformed)
        return f"batch: {error}"

    def _name(self, data: bytes | memoryview, error: Exception) -> str:
        """The error, with the message's kind, and with the field's name for its position."""
        try:
            raws = msgspec.msgpack.decode(data, type=list[msgspec.Raw])
            tag = msgspec.msgpack.decode(raws[0], type=str) if raws else ""
        except UNDECODABLE:
            tag = ""
        fields = self._fields.get(tag)
        if fields is None:
            return f"unknown kind {tag[:40]!r}" if tag else f"message: {error}"
        named = _POSITION.sub(lambda position: fields[int(position[1]) - 1], str(error), count=1)
        return f"{tag}: {named}"


class Outbox:
    """Collects messages into payloads of about `batch_bytes_target`; a longer message is cut into several."""

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._closed: list[tuple[bytes, bool]] = []

    def add(self, encoded: bytes) -> None:
        if self._open_bytes + len(encoded) > config.batch_bytes_target:
            self._close()
        self._open.append(encoded)
        self._open_bytes += len(encoded)

    def take(self) -> list[tuple[bytes, bool]]:
        """Payloads in order, each with whether the next one continues it."""
        self._close()
        closed, self._closed = self._closed, []
        return closed

    def _close(self) -> None:
        if not self._open:
            return
        payload = _joined(self._open)
        self._open, self._open_bytes = [], 0
        step = config.batch_bytes_target
        if len(payload) <= 2 * step:
            self._closed.append((payload, False))
            return
        last = (len(payload) - 1) // step * step
        self._closed.extend((payload[at : at + step], at < last) for at in range(0, len(payload), step))


class Inbox:
    """Puts payloads together again that an `Outbox` has cut."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, payload: bytes, more: bool) -> bytes | None:
        """The whole payload, or None while more of it is to come."""
        if not more and not self._parts:
            return payload
        self._bytes += len(payload)
        if self._bytes <= config.message_bytes_max:
            self._parts.append(payload)
        else:
            self._parts = [b""]  # Keeps the place until the end of the message, which is then no message.
        if more:
            return None
        whole, too_long = b"".join(self._parts), self._bytes > config.message_bytes_max
        self._parts, self._bytes = [], 0
        if too_long:
            raise MalformedMessage(f"a message of more than {config.message_bytes_max} bytes")
        return whole
