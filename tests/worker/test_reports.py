"""Does the manager hear all that the transfer node knows?"""

from __future__ import annotations

import pytest

from vine.names import ObjectId, TransferId, WorkerId
from vine.transfer.events import Fetched, FetchFailed, SlowSource
from vine.wire.parts import FetchFault
from vine.wire.worker_messages import FetchEnded, SourceSlow
from vine_worker.reports import message_of

TRANSFER, KEY, PEER = TransferId(1, 2), ObjectId("a" * 64), WorkerId("w2")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            Fetched(TRANSFER, KEY, 10, 2.0, from_manager_bytes=4),
            FetchEnded(TRANSFER, KEY, FetchFault.NONE, 10, 2.0, received_bytes_from_manager=4),
        ),
        (
            FetchFailed(TRANSFER, KEY, FetchFault.BAD_CHUNKS, PEER, "why", 10, 2.0, from_manager_bytes=4),
            FetchEnded(TRANSFER, KEY, FetchFault.BAD_CHUNKS, 10, 2.0, "why", PEER, 4),
        ),
        (SlowSource(TRANSFER, KEY, PEER), SourceSlow(TRANSFER, KEY, PEER)),
        (SlowSource(TRANSFER, KEY, PEER, silent=True), SourceSlow(TRANSFER, KEY, PEER, silent=True)),
    ],
)
def test_nothing_is_left_out(event: Fetched | FetchFailed | SlowSource, message: FetchEnded | SourceSlow) -> None:
    assert message_of(event) == message
