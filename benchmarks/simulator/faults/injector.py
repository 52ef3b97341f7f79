"""When does what break: faults at their rates, each at a place that the dice choose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.simulator.faults.cluster import FaultyCluster
from vine.names import MANAGER

_PARTITIONS_S = (0.5, 3.0, 8.0, 20.0, 70.0)
_STOPS_S = (0.3, 2.0, 6.0, 20.0)
_JUMP_S = 3600.0


class Injector:
    """Breaks things until it is told to stop."""

    def __init__(self, cluster: FaultyCluster) -> None:
        self._cluster = cluster
        self._dice = cluster.weather.dice
        self._over = False
        self.faults = 0
        rates = cluster.weather.rates
        faults: list[tuple[float, Callable[[], None]]] = [
            (rates.resets, self._reset),
            (rates.partitions, partial(self._part, both=True)),
            (rates.one_way_partitions, partial(self._part, both=False)),
            (rates.worker_crashes, self._crash_worker),
            (rates.worker_stops, self._stop_worker),
            (rates.manager_crashes, self._crash_manager),
            (rates.manager_stops, self._stop_manager),
            (rates.client_crashes, partial(cluster.end_client, "is killed")),
            (rates.client_stops, self._stop_client),
            (rates.client_goodbyes, cluster.leave),
            (rates.factory_crashes, partial(cluster.end_factory, "is killed")),
            (rates.evictions, self._evict),
            (rates.rots, self._rot),
            (rates.clock_jumps, self._jump),
        ]
        for rate, fault in faults:
            if rate > 0:
                self._again(rate, fault)

    def stop(self) -> None:
        self._over = True
        if self._cluster.manager is not None:
            self._cluster.manager.dies_after = None

    def _again(self, rate: float, fault: Callable[[], None]) -> None:
        self._cluster.clock.after(self._dice.expovariate(rate), lambda: self._strike(rate, fault))

    def _strike(self, rate: float, fault: Callable[[], None]) -> None:
        if not self._over:
            self.faults += 1
            fault()
            self._again(rate, fault)

    def _some_worker(self) -> str | None:
        names = list(self._cluster.workers)
        return self._dice.choice(names) if names else None

    # --- the network ---

    def _reset(self) -> None:
        cluster, dice = self._cluster, self._dice
        if dice.random() < 0.5 and cluster.wires.live:
            cluster.wires.reset(dice.choice(cluster.wires.live))
        elif (name := self._some_worker()) is not None:
            port = cluster.workers[name].worker.place.port
            cluster.network.reset(port, dice.choice([MANAGER, *cluster.workers]))

    def _part(self, both: bool) -> None:
        dice, cluster = self._dice, self._cluster
        names = [MANAGER, "client", *cluster.workers]
        dice.shuffle(names)
        some = dice.randint(1, max(1, len(names) // 2))
        ways = [(a, b) for a in names[:some] for b in names[some:]]
        if both:
            ways += [(b, a) for a, b in ways]
        elif dice.random() < 0.5:
            ways = [(b, a) for a, b in ways]
        seconds = dice.choice(_PARTITIONS_S) * (0.5 + dice.random())
        cluster.trace.note("apart for", seconds, names[:some], "both" if both else "one way")
        cluster.weather.close(ways, seconds)

    # --- processes ---

    def _crash_worker(self) -> None:
        if (name := self._some_worker()) is not None:
            self._cluster.end_worker(name, "is killed")

    def _stop_worker(self) -> None:
        if (name := self._some_worker()) is not None:
            self._cluster.workers[name].process.stand_still(self._dice.choice(_STOPS_S) * (0.5 + self._dice.random()))

    def _crash_manager(self) -> None:
        """At once, or in the midst of one of its next turns."""
        manager = self._cluster.manager
        if manager is not None and self._dice.random() < 0.5:
            manager.dies_after = self._dice.randint(1, 5)
        else:
            self._cluster.crash_manager()

    def _stop_manager(self) -> None:
        if self._cluster.manager is not None:
            self._cluster.manager.process.stand_still(self._dice.choice(_STOPS_S))

    def _stop_client(self) -> None:
        self._cluster.client_process.stand_still(self._dice.choice(_STOPS_S))

    # --- disks and clocks ---

    def _evict(self) -> None:
        if (name := self._some_worker()) is not None:
            self._cluster.workers[name].worker.store.give_up_one()

    def _rot(self) -> None:
        if (name := self._some_worker()) is not None:
            self._cluster.workers[name].worker.store.rot()

    def _jump(self) -> None:
        self._cluster.wall_ahead_s += self._dice.uniform(-_JUMP_S, _JUMP_S)
