"""What do transfer nodes say to each other on the data sockets: every message, declared once."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from vine import config
from vine.names import TransferId
from vine.wire.messages import Message
from vine.wire.parts import Endpoint, Hash, Role, Token

ChunkIndex = Annotated[int, msgspec.Meta(ge=0, lt=config.chunks_per_object_max)]
ChunkList = Annotated[tuple[ChunkIndex, ...], msgspec.Meta(min_length=1, max_length=config.credit_chunks_max)]
EdgeNumber = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]  # by which a receiver knows a source of its transfer
StripeCount = Annotated[int, msgspec.Meta(ge=1, le=config.forest_stripes)]


class Want(Message, frozen=True, tag="want"):
    """Receiver to source: send these chunks of the object to `reply_to`, as the manager planned.

    `token` is `transfer.tokens.mint(source_key, transfer_id, object_id, reply_to)`. As a `backup` I have
    no slot of yours: serve me from one that is free, until somebody comes for whom it was planned.
    """

    transfer_id: TransferId
    object_id: Hash
    token: Token
    reply_to: Endpoint
    reply_role: Role
    chunks: ChunkList
    edge: EdgeNumber = 0  # to be said in every answer: all sources answer to one socket
    stripes: StripeCount = 1  # chunk j is of stripe j mod `stripes`
    backup: bool = False


class CancelWants(Message, frozen=True, tag="cancel-wants"):
    """Receiver to source: these chunks have come from elsewhere; send none of them that has not left yet."""

    transfer_id: TransferId
    token: Token
    chunks: ChunkList


class EndOfWants(Message, frozen=True, tag="end-of-wants"):
    """Receiver to source: I want nothing more of this transfer; its slot is free."""

    transfer_id: TransferId
    token: Token


ToSource = Want | CancelWants | EndOfWants


class Chunk(Message, frozen=True, tag="chunk"):
    """Source to receiver: the next frame is this chunk.

    Of the stripe of this chunk I have all chunks below `have`; None: I have the whole object. (A count would
    not tell which chunks, and the beginning of the whole object that I have is as short as my slowest stripe.)
    `owed`: what I lack of it my own source has, and sends it no more slowly than others send me theirs.
    """

    transfer_id: TransferId
    index: ChunkIndex
    have: Annotated[int, msgspec.Meta(ge=0, le=config.chunks_per_object_max)] | None
    edge: EdgeNumber = 0
    owed: bool = False


class RefusalReason(enum.Enum):
    BUSY = "busy"  # I serve my cap of transfers
    UNKNOWN = "unknown"  # I neither hold nor receive this object
    CHANGED = "changed"  # the local file behind it is no longer what was declared


class WantRefused(Message, frozen=True, tag="want-refused"):
    """Source to receiver: I do not serve this transfer. (A want without authority gets no answer.)

    Of the stripe of this chunk, which was wanted, I have all chunks below `have`, as in `Chunk`: who is busy tells all
    the same whether somebody else could have more.
    """

    transfer_id: TransferId
    edge: EdgeNumber
    reason: RefusalReason
    index: ChunkIndex = 0
    have: Annotated[int, msgspec.Meta(ge=0, le=config.chunks_per_object_max)] | None = 0


ToReceiver = Chunk | WantRefused
