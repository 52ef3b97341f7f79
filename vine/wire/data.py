"""What do transfer nodes say to each other on the data sockets: every message, declared once."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from vine import config
from vine.names import TransferId
from vine.wire.messages import Endpoint, Hash, Message, Role, Token

ChunkIndex = Annotated[int, msgspec.Meta(ge=0, lt=config.chunks_per_object_max)]


class Want(Message, frozen=True, tag="want"):
    """Receiver to source: send these chunks of the object to `reply_to`, as the manager planned.

    `token` is `transfer.tokens.mint(source_key, transfer_id, object_id, reply_to)`.
    """

    transfer_id: TransferId
    object_id: Hash
    token: Token
    reply_to: Endpoint
    reply_role: Role
    chunks: Annotated[tuple[ChunkIndex, ...], msgspec.Meta(min_length=1, max_length=config.credit_chunks_max)]


class EndOfWants(Message, frozen=True, tag="end-of-wants"):
    """Receiver to source: I want nothing more of this transfer; its slot is free."""

    transfer_id: TransferId
    token: Token


ToSource = Want | EndOfWants


class Chunk(Message, frozen=True, tag="chunk"):
    """Source to receiver: the next frame is this chunk; `have` counts the chunks that I hold."""

    transfer_id: TransferId
    index: ChunkIndex
    have: Annotated[int, msgspec.Meta(ge=0)]


class RefusalReason(enum.Enum):
    BUSY = "busy"  # I serve my cap of transfers
    UNKNOWN = "unknown"  # I neither hold nor receive this object
    CHANGED = "changed"  # the local file behind it is no longer what was declared


class WantRefused(Message, frozen=True, tag="want-refused"):
    """Source to receiver: I do not serve this transfer. (A want without authority gets no answer.)

    `index` is a chunk that was wanted of me, by which a receiver with several sources knows me.
    """

    transfer_id: TransferId
    index: ChunkIndex
    reason: RefusalReason


ToReceiver = Chunk | WantRefused
