"""How does a node do what its sender decides: check who wants, read chunks, send them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from vine.errors import FileChanged, FileMissing
from vine.names import ObjectId
from vine.transfer import sender, tokens
from vine.transfer.edges import Edges, Parcel
from vine.transfer.jobs import Jobs
from vine.transfer.landing import Landing
from vine.transfer.objects import Buffer, ObjectSource
from vine.wire.codec import encode_one
from vine.wire.data import CancelWants, Chunk, EndOfWants, RefusalReason, Want, WantRefused


class Serving:
    """The sending half of a node; lives on its socket thread."""

    def __init__(
        self,
        core: sender.Sender,
        objects: ObjectSource,
        landing_of: Callable[[ObjectId], Landing | None],
        edges: Edges,
        jobs: Jobs,
        clock: Callable[[], float],
    ) -> None:
        self.core = core
        self._objects = objects
        self._landing_of = landing_of
        self._edges = edges
        self._jobs = jobs
        self._clock = clock
        self.is_owed: Callable[[ObjectId, int], bool] = lambda object_id, index: False  # what arrives, of its source
        self.source_key: bytes | None = None
        self.sent_bytes: Counter[ObjectId] = Counter()
        self.unreadable = 0

    def want(self, want: Want) -> None:
        key = self.source_key
        authorised = key is not None and tokens.holds(key, want.token, want.transfer_id, want.object_id, want.reply_to)
        now = self._clock()
        if authorised:
            self._edges.open(want.reply_to, want.reply_role, now)  # Though what is wanted may not be here yet.
            if not self.core.knows(want.object_id):
                self.complete(want.object_id)
        self.do(self.core.want(want, authorised, now))

    def cancel(self, cancel: CancelWants) -> None:
        self.core.cancel(cancel.transfer_id, cancel.token, cancel.chunks)

    def end(self, end: EndOfWants) -> None:
        self.core.end(end.transfer_id, end.token)

    def complete(self, object_id: ObjectId) -> None:
        """Serve this object if it is here."""
        try:
            chunk_count = self._objects.chunk_count(object_id)
        except KeyError:
            return
        self.do(self.core.complete(object_id, chunk_count, self._clock()))

    def gone(self, object_id: ObjectId, reason: RefusalReason = RefusalReason.UNKNOWN) -> None:
        self.do(self.core.gone(object_id, reason))

    def do(self, actions: list[sender.Action]) -> None:
        for action in actions:
            if isinstance(action, sender.SendChunk):
                self._read(action)
            else:
                refusal = WantRefused(action.transfer_id, action.edge, action.reason, action.index, action.have)
                self._edges.send(action.reply_to, action.reply_role, Parcel(encode_one(refusal)), self._clock())

    def _read(self, chunk: sender.SendChunk) -> None:
        landing = self._landing_of(chunk.object_id)

        def job() -> Buffer:
            try:
                data = None if landing is None else landing.read(chunk.index)
            except KeyError:
                data = None  # It has not arrived, but may have come by another way.
            return self._objects.read_chunk(chunk.object_id, chunk.index) if data is None else data

        self._jobs.run(job, lambda future: self._send(chunk, future))

    def _send(self, chunk: sender.SendChunk, future: Future[Buffer]) -> None:
        try:
            data = future.result()
        except (FileChanged, FileMissing):
            self.unreadable += 1
            self.gone(chunk.object_id, RefusalReason.CHANGED)
            return
        except (KeyError, OSError):
            self.unreadable += 1
            self.gone(chunk.object_id)
            return
        length = len(data)

        def wanted() -> bool:
            return self.core.is_wanted(chunk.transfer_id, chunk.index)

        def left(sent: bool) -> None:
            if sent:
                self.sent_bytes[chunk.object_id] += length
            self.core.sent(chunk.transfer_id, chunk.index)

        owed = chunk.have is not None and self.is_owed(chunk.object_id, chunk.index)
        header = encode_one(Chunk(chunk.transfer_id, chunk.index, chunk.have, chunk.edge, owed))
        parcel = Parcel(header, data, wanted, left)
        self._edges.send(chunk.reply_to, chunk.reply_role, parcel, self._clock())
