"""When has a simulated worker unpacked an archive, which may still be arriving when it begins?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.simulator.machine import Machine
from vine.names import ObjectId
from vine_worker import actions as act


@dataclass(slots=True, eq=False)
class _Unpacking:
    ends_at: float  # by the processor; no sooner than the archive is here
    waits: bool  # for the rest of the archive


class Unpacking:
    """The unpackings that run now, each on a processor of its own."""

    def __init__(
        self, machine: Machine, unpacked_bytes: Callable[[ObjectId], int], tell: Callable[[act.LocalEvent], None]
    ) -> None:
        self._machine = machine
        self._unpacked_bytes = unpacked_bytes  # what comes out of an archive
        self._tell = tell
        self._running: dict[ObjectId, _Unpacking] = {}
        self.unpacked_s: dict[ObjectId, float] = {}  # when each folder was complete

    def start(self, order: act.StartUnpack) -> None:
        seconds = self._unpacked_bytes(order.archive) / self._machine.speeds.unpacking
        running = _Unpacking(self._machine.clock.now() + seconds, order.ahead)
        self._running[order.object_id] = running
        if not order.ahead:
            self._end_in_time(order.object_id, running)

    def archive_came(self, action: act.ArchiveCame) -> None:
        running = self._running.get(action.object_id)
        if running is not None and running.waits:
            running.waits = False
            self._end_in_time(action.object_id, running)

    def stop(self, action: act.StopUnpack) -> None:
        if self._running.pop(action.object_id, None) is not None:
            self._tell(act.Unpacked(action.object_id, cut=True))

    def _end_in_time(self, object_id: ObjectId, running: _Unpacking) -> None:
        self._machine.clock.at(running.ends_at, lambda: self._end(object_id, running))

    def _end(self, object_id: ObjectId, running: _Unpacking) -> None:
        if self._running.get(object_id) is running:
            del self._running[object_id]
            self.unpacked_s[object_id] = self._machine.clock.now()
            self._tell(act.Unpacked(object_id))
