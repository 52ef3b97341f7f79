"""What does the manager hear of what this worker's transfer node tells?"""

from __future__ import annotations

from vine.transfer.events import Fetched, FetchFailed, SlowSource
from vine.wire.parts import FetchFault
from vine.wire.worker_messages import FetchEnded, SourceSlow


def message_of(event: Fetched | FetchFailed | SlowSource) -> FetchEnded | SourceSlow:
    if isinstance(event, SlowSource):
        return SourceSlow(event.transfer_id, event.object_id, event.source, event.silent)
    fault, message, source = FetchFault.NONE, "", None
    if isinstance(event, FetchFailed):
        fault, message, source = event.fault, event.message, event.source
    received, seconds = event.received_bytes, event.seconds
    from_manager = event.from_manager_bytes
    return FetchEnded(event.transfer_id, event.object_id, fault, received, seconds, message, source, from_manager)
