"""What is a worker in a run where things break: the true core and link, a store that is never safe, and programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from msgspec.structs import replace

from benchmarks.simulator.bodies import Bodies
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.faults.behaviours import FaultyBody
from benchmarks.simulator.faults.programs import FaultyPrograms
from benchmarks.simulator.faults.store import FaultyStore
from benchmarks.simulator.faults.watch import BodyWatch
from benchmarks.simulator.faults.weather import Weather
from benchmarks.simulator.machine import Machine
from benchmarks.simulator.node import Addresses
from benchmarks.simulator.trace import Trace
from benchmarks.simulator.worker import Place, SimulatedWorker
from vine.content.manifest import object_id
from vine.names import HostId, ObjectId, TransferId
from vine.wire.parts import Assignment, DownloadFault, Manifest
from vine.wire.worker_messages import DownloadEnded, FromWorker, WorkerHello
from vine_worker import actions as act
from vine_worker.core import WorkerCore

_UNPACK_S = 0.1
_DOWNLOAD_S = 0.3
_FAULTS = (DownloadFault.UNREACHABLE, DownloadFault.DISK_FULL, DownloadFault.SERVER_FAILED)


@dataclass(frozen=True, slots=True)
class Home:
    """Where a worker runs, for how long, and whether bodies cannot write into their inputs there."""

    host: str
    lives_s: float | None = None
    protected: bool = True


class FaultyWorker(SimulatedWorker):
    """A worker process, from its start until it ends or is killed."""

    def __init__(
        self,
        place: Place,
        addresses: Addresses,
        bodies: Callable[[Assignment], FaultyBody],
        send: Callable[[FromWorker], None],
        trace: Trace,
        weather: Weather,
        disk_bytes: int,
        left: Iterable[tuple[ObjectId, Manifest]],
        home: Home | None = None,
    ) -> None:
        """`left` is what an earlier process has left in the store, complete and for ever."""
        self._weather = weather
        self._faulty_bodies = bodies
        self._home = home = home or Home(place.name)
        self._began_s = place.machine.clock.now()
        self._disk_bytes = disk_bytes
        self._downloading: set[TransferId] = set()
        self._unpacking_from: dict[ObjectId, ObjectId] = {}  # archives, by what is made of them
        self.on_end: Callable[[str], None] = lambda reason: None
        super().__init__(place, addresses, bodies, send, trace)
        for key, manifest in left:
            self.store.put(key, manifest)
            self.store.rate((key,), spare=True, forever=True)
        self.core = WorkerCore(place.capacity, home.protected, resumed=dict.fromkeys(self.store.manifests, True))
        self._do |= {
            act.StartUnpack: self._start_unpack,
            act.StopUnpack: lambda action: self._unpacked(action.object_id, act.Unpacked(action.object_id, cut=True)),
            act.ArchiveCame: lambda action: self._unpack_later(action.object_id),
            act.StartDownload: self._download,
            act.StopDownload: lambda action: self._download_ends(action.download_id, DownloadFault.ABANDONED),
            act.Verify: self._verify_copy,
            act.Unpin: lambda action: self.store.pins.subtract(action.times),
            act.Rate: lambda action: self.store.rate(action.object_ids, action.spare, action.forever),
            act.MeasureUse: self.programs.measure,
            act.LookAtOutputs: self.programs.look,
            act.StartLibrary: self.programs.start_library,
            act.EndLibrary: self.programs.end_library,
        }

    def make_store(self, machine: Machine) -> FaultyStore:
        self.store = FaultyStore(machine, self._weather, self._disk_bytes)
        self.store.on_evicted = lambda: self._clock.after(0, self._tell_evicted)
        self.store.on_quarantined = lambda key: self._later(act.Lost((key,)))
        self.store.on_discarded = self._archive_cut
        self.watch = BodyWatch(self.place.name, self.store, self.place.capacity)
        return self.store

    def make_programs(self, bodies: Bodies) -> FaultyPrograms:
        self.programs = FaultyPrograms(
            self._clock, self.store, self._faulty_bodies, self._feed, self._weather, self.watch, self._home.protected
        )
        return self.programs

    def hello(self) -> WorkerHello:
        home = self._home
        left_s = None if home.lives_s is None else max(0.0, self._began_s + home.lives_s - self._clock.now())
        return replace(
            super().hello(), host_id=HostId(f"host-{home.host}"), hostname=home.host, wall_time_s=home.lives_s,
            time_left_s=left_s,
        )  # fmt: skip

    def free_disk_bytes(self) -> int:
        return max(0, self.store.capacity_bytes - self.store.used_bytes())

    def handle(self, event: Any, now: float) -> None:
        self.store.pins.update(self.core.claims(event))
        self._tell_evicted()  # After the pins: of what the core takes for being here now, nothing goes.
        if isinstance(event, act.Unpacked) and not (event.cut or event.message):
            self.watch.folders.add(event.object_id)
        super().handle(event, now)
        self.core.check()

    def _tell_evicted(self) -> None:
        evicted, self.store.evicted = self.store.evicted, []
        if evicted and not self.ended:
            for key in evicted:
                self.node.forget(key)
            self._execute(self.core.handle(act.Evicted(tuple(evicted)), self._clock.now()))

    def _end(self, action: act.End) -> None:
        super()._end(action)
        self.on_end(action.reason)

    # --- what happens to its disk ---

    def _keep(self, action: act.KeepObject) -> None:
        if self._weather.strikes(self._weather.rates.disk_full_share):
            self._later(act.Kept(action.item.object_id, "no space left on device", disk_full=True))
        else:
            super()._keep(action)

    def _remove(self, action: act.RemoveObjects) -> None:
        super()._remove(action)
        self.watch.folders.difference_update(action.object_ids)

    def _verify_copy(self, action: act.Verify) -> None:
        self._clock.after(0.05, partial(self._verified, action.object_id))

    def _verified(self, key: ObjectId) -> None:
        good = key not in self.store.rotten
        if not good:
            self.node.forget(key)
            self.store.remove(key)
        self._feed(act.Verified(key, good))

    # --- unpacking ---

    def _start_unpack(self, order: act.StartUnpack) -> None:
        self._unpacking_from[order.object_id] = order.archive
        if not order.ahead:
            self._unpack_later(order.object_id)

    def _unpack_later(self, key: ObjectId) -> None:
        event = act.Unpacked(key)
        if self._weather.strikes(self._weather.rates.disk_full_share):
            event = act.Unpacked(key, "no space left on device", disk_full=True)
        self._clock.after(_UNPACK_S, lambda: self._unpacked(key, event))

    def _unpacked(self, key: ObjectId, event: act.Unpacked) -> None:
        if self._unpacking_from.pop(key, None) is not None:
            self._later(event)

    def _archive_cut(self, archive: ObjectId) -> None:
        """What had come of an archive is gone; who reads it is cut short."""
        for key in [key for key, source in self._unpacking_from.items() if source == archive]:
            self._unpacked(key, act.Unpacked(key, cut=True))

    # --- downloads ---

    def _download(self, action: act.StartDownload) -> None:
        order, fault = action.order, DownloadFault.NONE
        self._downloading.add(order.download_id)
        if self._weather.strikes(self._weather.rates.download_failure_share):
            fault = self._weather.dice.choice(_FAULTS)
        self._clock.after(_DOWNLOAD_S, lambda: self._download_ends(order.download_id, fault, order.url))

    def _download_ends(self, download_id: TransferId, fault: DownloadFault, url: str = "") -> None:
        if download_id not in self._downloading:
            return
        self._downloading.remove(download_id)
        if fault is not DownloadFault.NONE:
            self._later(DownloadEnded(download_id, fault, message=fault.value))
            return
        manifest = manifest_of(url, 3 << 20)
        key = object_id(manifest)
        self.store.put(key, manifest)
        self.store.pins[key] += 1
        self.node.object_complete(key)
        self._later(DownloadEnded(download_id, fault, key, manifest, manifest.size))
        self._clock.after(0, lambda: self.store.pins.subtract((key,)))
