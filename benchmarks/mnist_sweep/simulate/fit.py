"""How do the fitted parameters come about: the search for those that explain the paper's shared-fs column best.

    python -m benchmarks.mnist_sweep.simulate.fit [--reading both|load|nodes] [--write]

What is fitted on are twelve numbers (mean, median and deviation of four runs) and the gain from 128 to 256
workers; no number of the paper's vine column is read. The four runs were made at different times, on what the
batch system gave and beside what other people did; so two parameters have a value for each run: the share of
slow nodes, and the streams of others at the filesystem. Three moments cannot always tell one from the other,
therefore each departure of a run from what is usual has a price, the same for both (readings `load` and `nodes`
let only one of them differ between the runs, which shows how much rests on that).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.mnist_sweep.simulate import paging, paper, parameters
from benchmarks.mnist_sweep.simulate.parameters import CLUSTER, Parameters

READINGS = ("both", "load", "nodes")
GLOBAL = ("metadata_operations", "slow_factor", "compute_spread", "arrival_span_s")
EACH_RUN = ("others_streams", "slow_share")

_TOLERANCE = {"mean": 0.03, "median": 0.03, "std": 0.10, "gain": 0.03}  # relative errors that weigh alike
_RUN_PRICE = {"others_streams": math.log(2), "slow_share": 1.0}  # so far from usual weighs as one tolerance
_ARRIVAL_USUAL_S, _ARRIVAL_PRICE = 60.0, math.log(2)
_STEP, _STEP_LEAST = 0.5, 0.01  # of the search, in the logarithms and logits that it moves in
_WORTH = 0.01  # of the misfit: a round that gains less is the last with its step
_SEEDS = (0,)

Point = dict[str, float]  # coordinates of the search by name, e.g. "slow_share 32"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The best point found, what it says, and how far it is from the paper."""

    parameters: Parameters
    misfit: float
    found: Mapping[int, paper.Moments]
    gain: float


def logit(share: float) -> float:
    return math.log(share / (1 - share))


def share_of(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def names_of(reading: str, sizes: Sequence[int] = paper.SIZES) -> list[str]:
    """The coordinates of the search."""
    free = {"both": EACH_RUN, "load": EACH_RUN[:1], "nodes": EACH_RUN[1:]}[reading]
    of_runs = [f"{name} {size}" for name in free for size in sizes]
    return [*GLOBAL, *EACH_RUN, *of_runs]


def start_of(reading: str) -> Point:
    """Where the search begins: nothing known but orders of magnitude; a run is as usual (0)."""
    first = {
        "metadata_operations": math.log(10_000),
        "slow_factor": math.log(1.0),  # of what is above 1
        "compute_spread": math.log(0.1),
        "arrival_span_s": math.log(_ARRIVAL_USUAL_S),
        "others_streams": math.log(500),
        "slow_share": 0.0,
    }
    return {name: first.get(name, 0.0) for name in names_of(reading)}


def parameters_of(point: Point, base: Parameters) -> Parameters:
    """The cluster that a point of the search stands for."""

    def of_run(name: str, size: int) -> float:
        return point[name] + point.get(f"{name} {size}", 0.0)

    return replace(
        base,
        metadata_operations=math.exp(point["metadata_operations"]),
        slow_factor=1 + math.exp(point["slow_factor"]),
        compute_spread=math.exp(point["compute_spread"]),
        arrival_span_s=math.exp(point["arrival_span_s"]),
        others_streams={size: math.exp(of_run("others_streams", size)) for size in paper.SIZES},
        slow_share={size: share_of(of_run("slow_share", size)) for size in paper.SIZES},
    )


def price(point: Point) -> float:
    """What the point costs whatever it explains: how far its runs and its batch system are from usual."""
    cost = ((point["arrival_span_s"] - math.log(_ARRIVAL_USUAL_S)) / _ARRIVAL_PRICE) ** 2
    for name, value in point.items():
        kind, *of_run = name.split()
        cost += (value / _RUN_PRICE[kind]) ** 2 if of_run else 0.0
    return cost


def misfit(found: Mapping[int, paper.Moments], gain: float) -> float:
    """The squared relative errors against the shared-fs column, each over its tolerance."""
    cost = ((gain / paper.SHARED_FS_GAIN - 1) / _TOLERANCE["gain"]) ** 2
    for size, wanted in paper.SHARED_FS.items():
        for name in ("mean", "median", "std"):
            cost += ((getattr(found[size], name) / getattr(wanted, name) - 1) / _TOLERANCE[name]) ** 2
    return cost


class Search:
    """A compass search: a step along one coordinate at a time, halved when no step is worth it."""

    def __init__(self, base: Parameters, reading: str) -> None:
        self._base = base
        self._known: dict[tuple[float, ...], tuple[paper.Moments, float]] = {}
        self.point = start_of(reading)
        self.step = _STEP

    def evaluated(self, point: Point) -> Fitted:
        cluster = parameters_of(point, self._base)
        runs = {size: self._run(cluster, size) for size in paper.SIZES}
        found, gain = {size: run[0] for size, run in runs.items()}, runs[128][1] / runs[256][1]
        return Fitted(cluster, misfit(found, gain) + price(point), found, gain)

    def _run(self, cluster: Parameters, size: int) -> tuple[paper.Moments, float]:
        """Moments and run time of one size, over several draws of the dice."""
        free = (getattr(cluster, name) for name in GLOBAL)
        key = (*free, *(cluster.at(name, size) for name in EACH_RUN), size)
        if key not in self._known:
            runs = [paging.run(cluster, size, paper.TASKS, seed) for seed in _SEEDS]
            together = [seconds for run in runs for seconds in run.task_s]
            self._known[key] = paging.moments(together), sum(run.run_s for run in runs) / len(runs)
        return self._known[key]

    def best(self, told: Callable[[Fitted, float], None] = lambda fitted, step: None) -> Fitted:
        best = self.evaluated(self.point)
        while self.step >= _STEP_LEAST:
            before = best.misfit
            for name in self.point:
                for way in (self.step, -self.step):
                    tried = {**self.point, name: self.point[name] + way}
                    if (fitted := self.evaluated(tried)).misfit < best.misfit:
                        self.point, best = tried, fitted
                        break
            told(best, self.step)
            if before - best.misfit < _WORTH * before:
                self.step /= 2
        return best
