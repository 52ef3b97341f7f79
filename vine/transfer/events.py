"""What does a transfer node tell its owner?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vine.names import ObjectId, TransferId, WorkerId
from vine.wire.parts import FetchFault


@dataclass(frozen=True, slots=True)
class Fetched:
    """The object is complete and committed."""

    transfer_id: TransferId
    object_id: ObjectId
    received_bytes: int
    seconds: float
    from_manager_bytes: int = 0  # of those received


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """The transfer is over without its object; `source` is who is to blame, None for this node."""

    transfer_id: TransferId
    object_id: ObjectId
    fault: FetchFault
    source: WorkerId | None
    message: str
    received_bytes: int
    seconds: float
    from_manager_bytes: int = 0  # of those received


@dataclass(frozen=True, slots=True)
class SlowSource:
    """A source of a fetch that runs does not send what it has; others are asked meanwhile."""

    transfer_id: TransferId
    object_id: ObjectId
    source: WorkerId
    silent: bool = False  # It sends nothing at all.


@dataclass(frozen=True, slots=True)
class NodeFailed:
    """The node's thread has ended by a mistake of ours: nothing is transferred any more."""

    message: str


NodeEvent = Fetched | FetchFailed | SlowSource | NodeFailed


@dataclass(frozen=True, slots=True)
class NodeStats:
    """How a node stands; all figures but `flows_out` and `pulls` only grow."""

    sent_bytes: int
    sent_bytes_by_object: Mapping[ObjectId, int]
    received_bytes: int
    flows_out: int
    flows_out_max: int
    pulls: int
    malformed: int  # messages that are none
    unauthorised: int  # wants and ends without a valid token
    refused: int  # wants that were not served: busy, unknown, changed
    excessive: int  # chunks wanted beyond the credit or the object's end
    stray: int  # chunks of no transfer, or not asked for
    bad_chunks: int
    unreadable: int  # chunks that could not be read to be sent
