"""How long does a broadcast take on simulated nodes: the true cores in virtual time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmarks.broadcast.outcome import BenchmarkError, Broadcast, Plan, bound_s
from benchmarks.simulator.cluster import Cluster, Setup
from benchmarks.simulator.machine import Speeds
from vine.names import MANAGER, ObjectId
from vine.scheduler.settings import Spread

SLOW_FACTOR = 4.0  # of the node that the planner does not know to be slow
_HASHING, _DISK, _LATENCY_S = 1.5e9, 2e9, 0.002  # fixed, so that figures can be compared
_GIVE_UP_S = 3600.0  # of virtual time


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be simulated."""

    workers: int
    size_bytes: int
    link_bytes_per_s: float
    plan: Plan
    seed: int = 0


def broadcast(wanted: Wanted) -> Broadcast:
    """Nothing goes wrong."""
    return _Run(wanted).finish()


def with_slow_node(wanted: Wanted) -> list[Broadcast]:
    """Undisturbed, and with a slow node where the first has shown the root of a stripe; its own time is not counted.

    A node that is slow only to send has what its children want of it; one that is slow both ways has an excuse.
    """
    first = _Run(wanted)
    calm = first.finish(root := first.a_root())
    speeds = first.speeds
    ways = {"to send": replace(speeds, up=speeds.up / SLOW_FACTOR), "both ways": speeds.slower(SLOW_FACTOR)}
    slow = {way: _Run(wanted, {root: those}).finish(root) for way, those in ways.items()}
    return [calm, *(_disturbed(found, calm, "slow_node_factor", {"slow": way}) for way, found in slow.items())]


def with_killed_node(wanted: Wanted) -> list[Broadcast]:
    """Undisturbed, and with that node killed in the middle on which most others hang."""
    first = _Run(wanted)
    calm = first.finish(victim := first.a_root())
    hit = _Run(wanted)
    killed_s = hit.asked_s + calm.seconds / 2
    hit.cluster.clock.at(killed_s, lambda: hit.cluster.kill(victim))
    return [calm, _disturbed(hit.finish(victim), calm, "killed_node_factor", {"killed": 1})]


def _disturbed(found: Broadcast, calm: Broadcast, figure: str, params: Mapping[str, object]) -> Broadcast:
    return replace(
        found,
        of_undisturbed=found.seconds / calm.seconds,
        disturbance=figure,
        params={**found.params, **params},
    )


class _Run:
    """A cluster whose workers have just been asked to get the file."""

    def __init__(self, wanted: Wanted, speeds_of: Mapping[str, Speeds] | None = None) -> None:
        """`speeds_of` names the workers that are not as fast as the others."""
        self._wanted = wanted
        self.speeds = speeds = Speeds(wanted.link_bytes_per_s, wanted.link_bytes_per_s, _HASHING, _DISK)
        setup = Setup(
            seed=wanted.seed,
            speeds=speeds,
            latency_s=_LATENCY_S,
            spread=Spread(wanted.plan.spread),
            transfers_max=wanted.plan.cap,
        )
        self.cluster = cluster = Cluster(setup)
        for number in range(wanted.workers):
            name = f"w{number:04}"
            cluster.add_worker(name, (speeds_of or {}).get(name, speeds))
        cluster.wait_for_workers()
        self._file, self._object = cluster.client.local_file("big", wanted.size_bytes)
        cluster.run(lambda: self._object in cluster.manager.scheduler.state.files.objects, _GIVE_UP_S)
        self.asked_s = cluster.clock.now()
        self._request = cluster.client.broadcast(self._file)

    def a_root(self) -> str:
        """The worker to which the manager sends whole stripes and on which most others hang."""
        transfers = self.cluster.manager.scheduler.state.transfers
        self._until(lambda: bool(transfers.active))
        feeds: dict[str, list[str]] = {}
        for transfer in transfers.active.values():
            for source in transfer.sources:
                feeds.setdefault(source, []).append(transfer.destination)
        return max(feeds[MANAGER], key=lambda name: (len(feeds.get(name, ())), name))

    def finish(self, excepted: str | None = None) -> Broadcast:
        """Run until all workers have the object; `excepted` is not waited for."""
        workers = {name: worker for name, worker in self.cluster.workers.items() if name != excepted}
        gc.disable()  # Nothing here is garbage before the end, and there is much to look through.
        try:
            missing = list(workers.values())
            key = self._object

            def all_have_it() -> bool:
                while missing and key in missing[-1].fetched_s:
                    missing.pop()
                return not missing

            self._until(lambda: all_have_it() or self._request in self.cluster.client.spread)
        finally:
            gc.enable()
        if missing:
            answer = self.cluster.client.spread[self._request]
            raise BenchmarkError(f"{len(missing)} workers did not get the file: {answer.message}")
        spans = {
            name: (worker.node.first_chunk_s[key] - self.asked_s, worker.fetched_s[key] - self.asked_s)
            for name, worker in workers.items()
        }
        return self._outcome(key, spans)

    def _outcome(self, key: ObjectId, spans: dict[str, tuple[float, float]]) -> Broadcast:
        wanted = self._wanted
        nodes = {name: worker.node for name, worker in self.cluster.workers.items()}
        nodes[MANAGER] = self.cluster.manager.node
        return Broadcast(
            plan=wanted.plan.spread,
            workers=wanted.workers,
            size_bytes=wanted.size_bytes,
            seconds=max(end for _, end in spans.values()),
            bound_s=bound_s(wanted.size_bytes, wanted.link_bytes_per_s, _DISK),
            sent_bytes={name: node.serving.sent_bytes[key] for name, node in nodes.items()},
            spans=spans,
            params={"simulated": True, "gbit_per_s": wanted.link_bytes_per_s * 8 / 1e9, "cap": wanted.plan.cap},
        )

    def _until(self, condition: Callable[[], bool]) -> None:
        if not self.cluster.run(condition, _GIVE_UP_S):
            raise BenchmarkError(f"the broadcast has not ended after {_GIVE_UP_S:g} s of virtual time")
