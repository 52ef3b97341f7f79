"""May this node ask that one for this object: the proof that the manager planned it so.

The manager gives each source a key of its own and each receiver a token a transfer; the source
checks a want by computing the token again. So no order of arrival between the two ends matters,
and nothing needs to be remembered until the want comes.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

import msgpack

from vine.names import ObjectId, TransferId, WorkerId

_TOKEN_BYTES = 16
_KEYS_KEPT = 16384  # One for each node of a large run; what is not kept is made again.


@lru_cache(_KEYS_KEPT)
def source_key(run_secret: bytes, source: WorkerId) -> bytes:
    """The key that the manager shares with one source."""
    return hashlib.blake2b(source.encode(), key=run_secret, digest_size=32).digest()


def mint(key: bytes, transfer_id: TransferId, object_id: ObjectId, reply_to: str) -> bytes:
    """The token of one transfer of one object to the node whose chunks arrive at `reply_to`."""
    plan = msgpack.packb((tuple(transfer_id), object_id, reply_to))
    return hashlib.blake2b(plan, key=key, digest_size=_TOKEN_BYTES).digest()


def holds(key: bytes, token: bytes, transfer_id: TransferId, object_id: ObjectId, reply_to: str) -> bool:
    """Whether the token is the one that the manager would have minted."""
    return hmac.compare_digest(token, mint(key, transfer_id, object_id, reply_to))
