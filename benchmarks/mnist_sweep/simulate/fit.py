"""How do the fitted parameters come about: the search for those that explain the paper's shared-fs column best.

    python -m benchmarks.mnist_sweep.simulate.fit [--reading both|load|nodes] [--write FILE]

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
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy
from numpy.typing import NDArray

from benchmarks.mnist_sweep.simulate import paging, paper, parameters
from benchmarks.mnist_sweep.simulate.parameters import CLUSTER, Parameters
from vine.errors import ExitCode, VineError

READINGS = ("both", "load", "nodes")
GLOBAL = ("metadata_operations", "slow_factor", "compute_spread", "arrival_workers_per_s")
EACH_RUN = ("others_streams", "slow_share")

_TOLERANCE = {"mean": 0.03, "median": 0.03, "std": 0.10, "gain": 0.03}  # relative errors that weigh alike
_RUN_PRICE = {"others_streams": math.log(2), "slow_share": 1.0}  # so far from usual weighs as one tolerance
_USUAL = {  # what is known of these before the fit, and the factor from it that weighs as one tolerance
    "arrival_workers_per_s": (5 / 30, 2.0),  # vine_factory's cycle
    "compute_spread": (0.1, 2.0),  # "approximately" 5 minutes
    "slow_factor": (1.0, 1.5),  # of what is above 1: processors of one pool differ by 1.6, and its extremes by 3.5
}
_FAR = 1.5  # a logit: 18 % or 82 % of the nodes
_SLOPE_STEPS, _STEP_MOST = (0.3, 0.1, 0.03), 0.7  # of the search, in the logarithms and logits that it moves in
_DAMPING, _DAMPING_MOST = 1.0, 1e4
_WORTH = 0.002  # of the misfit: a step that gains less is the last but a few
_SEEDS = (0, 1)  # of the dice; what is fitted shall not hang on one throw

Point = dict[str, float]  # coordinates of the search by name, e.g. "slow_share 32"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The best point found, what it says, and how far it is from the paper."""

    parameters: Parameters
    errors: Sequence[float]  # both in tolerances
    prices: Sequence[float]
    found: Mapping[int, paper.Moments]
    gain: float

    @property
    def residuals(self) -> NDArray[numpy.float64]:
        return numpy.array([*self.errors, *self.prices])

    @property
    def misfit(self) -> float:
        return float(self.residuals @ self.residuals)


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
        "slow_factor": math.log(_USUAL["slow_factor"][0]),
        "compute_spread": math.log(0.1),
        "arrival_workers_per_s": math.log(_USUAL["arrival_workers_per_s"][0]),
        "others_streams": math.log(100),  # as seconds that a task alone would look up beside them
        "slow_share": 0.0,
    }
    return {name: first.get(name, 0.0) for name in names_of(reading)}


def parameters_of(point: Point, base: Parameters) -> Parameters:
    """The cluster that a point of the search stands for."""

    def of_run(name: str, size: int) -> float:
        return point[name] + point.get(f"{name} {size}", 0.0)

    operations = math.exp(point["metadata_operations"])
    streams_per_s = base.metadata_operations_per_s / operations
    return replace(
        base,
        metadata_operations=operations,
        slow_factor=1 + math.exp(point["slow_factor"]),
        compute_spread=math.exp(point["compute_spread"]),
        arrival_workers_per_s=math.exp(point["arrival_workers_per_s"]),
        others_streams={size: math.exp(of_run("others_streams", size)) * streams_per_s for size in paper.SIZES},
        slow_share={size: share_of(of_run("slow_share", size)) for size in paper.SIZES},
    )


def prices(point: Point) -> list[float]:
    """What the point costs whatever it explains, in tolerances: how far it is from what is usual."""
    costs = [math.log(math.exp(point[name]) / usual, by) for name, (usual, by) in _USUAL.items()]
    return costs + [value / _RUN_PRICE[name.split()[0]] for name, value in point.items() if " " in name]


def errors(found: Mapping[int, paper.Moments], gain: float) -> list[float]:
    """The relative errors against the shared-fs column and the gain, each over its tolerance."""
    costs = [(gain / paper.SHARED_FS_GAIN - 1) / _TOLERANCE["gain"]]
    for size, wanted in paper.SHARED_FS.items():
        for name in ("mean", "median", "std"):
            costs.append((getattr(found[size], name) / getattr(wanted, name) - 1) / _TOLERANCE[name])
    return costs


class Search:
    """Levenberg and Marquardt's descent on the sum of squares, from one start.

    An Algorithm for Least-Squares Estimation of Nonlinear Parameters, SIAM Journal 11 (1963). Slopes are taken over
    steps that are wide enough for medians and whole nodes not to matter.
    """

    def __init__(self, base: Parameters, start: Point) -> None:
        self._base = base
        self._known: dict[tuple[float, ...], tuple[paper.Moments, float]] = {}
        self.point = start

    def best(self) -> Fitted:
        """Descend until no step, however short, is worth it; by wide slopes first, then by narrow ones."""
        best = self.evaluated(self.point)
        for width in _SLOPE_STEPS:
            best = self._descend(best, width)
        return best

    def _descend(self, best: Fitted, width: float) -> Fitted:
        damping = _DAMPING
        while damping < _DAMPING_MOST:
            slopes = self._slopes(width)
            gained = 0.0
            while damping < _DAMPING_MOST and not gained:
                there = self._step(best, slopes, damping)
                if (fitted := self.evaluated(there)).misfit < best.misfit:
                    gained = 1 - fitted.misfit / best.misfit
                    self.point, best, damping = there, fitted, damping / 4
                else:
                    damping *= 4
            if gained < _WORTH:
                damping *= 16
        return best

    def _slopes(self, width: float) -> NDArray[numpy.float64]:
        """A row for each coordinate: by how much each residual grows along it."""
        rows = []
        for name, value in self.point.items():
            there = self.evaluated({**self.point, name: value + width})
            back = self.evaluated({**self.point, name: value - width})
            rows.append((there.residuals - back.residuals) / (2 * width))
        return numpy.array(rows)

    def _step(self, here: Fitted, slopes: NDArray[numpy.float64], damping: float) -> Point:
        square = slopes @ slopes.T
        square += damping * numpy.eye(len(square))
        steps = numpy.linalg.solve(square, -slopes @ here.residuals).clip(-_STEP_MOST, _STEP_MOST)
        return {name: value + float(step) for (name, value), step in zip(self.point.items(), steps, strict=True)}

    def evaluated(self, point: Point) -> Fitted:
        """What a point explains, and at what price."""
        cluster = parameters_of(point, self._base)
        runs = {size: self._run(cluster, size) for size in paper.SIZES}
        found, gain = {size: run[0] for size, run in runs.items()}, runs[128][1] / runs[256][1]
        return Fitted(cluster, errors(found, gain), prices(point), found, gain)

    def _run(self, cluster: Parameters, size: int) -> tuple[paper.Moments, float]:
        """Moments and run time of one size, over several draws of the dice."""
        free = (getattr(cluster, name) for name in GLOBAL)
        key = (*free, *(cluster.at(name, size) for name in EACH_RUN), size)
        if key not in self._known:
            runs = [paging.run(cluster, size, paper.TASKS, seed) for seed in _SEEDS]
            together = [seconds for run in runs for seconds in run.task_s]
            self._known[key] = paging.moments(together), sum(run.run_s for run in runs) / len(runs)
        return self._known[key]


def starts(reading: str) -> list[Point]:
    """Where searches begin: most nodes of the two smaller runs fast or slow, wherever a reading lets them differ.

    With only a few nodes of the pool in it, a small run is the one that could have got mostly slow ones.
    """
    usual = start_of(reading)
    if reading == "load":
        return [usual]
    ways = product((-_FAR, _FAR), repeat=2)
    return [{**usual, "slow_share 32": smallest, "slow_share 64": second} for smallest, second in ways]


def fit(base: Parameters, reading: str, told: Callable[[Fitted], None] = lambda fitted: None) -> Fitted:
    """The best of the searches from all starts; `told` hears what each has found."""
    found = []
    for start in starts(reading):
        found.append(Search(base, start).best())
        told(found[-1])
    return min(found, key=lambda fitted: fitted.misfit)


def values_of(fitted: Parameters) -> dict[str, float | Mapping[int, float]]:
    """The fitted parameters, as the cluster's file has them."""
    return {name: getattr(fitted, name) for name in (*GLOBAL, *EACH_RUN)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist_sweep.simulate.fit",
        description="Fit the simulated cluster on the shared-fs column of the paper's Table 1.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--reading", choices=READINGS, default="both", help="what may differ between the paper's runs")
    parser.add_argument("--cluster", type=Path, default=CLUSTER, metavar="FILE", help="the parameters that are given")
    parser.add_argument("--write", type=Path, metavar="FILE", help="where they go with the fitted ones in their place")
    options = parser.parse_args(arguments)
    try:
        base, _ = parameters.read(options.cluster)
        best = fit(
            base, options.reading, lambda fitted: print(f"a search ends at misfit {fitted.misfit:.2f}", flush=True)
        )
        print(described(best))
        if options.write is not None:
            options.write.write_text(parameters.rewritten(options.cluster.read_text(), values_of(best.parameters)))
    except VineError as error:
        print(f"fit: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


def described(fitted: Fitted) -> str:
    """What was found, and how far what it explains is from the paper."""
    lines = [f"misfit {fitted.misfit:.2f}, {sum(cost**2 for cost in fitted.prices):.2f} of it for what is not as usual"]
    for name, value in values_of(fitted.parameters).items():
        each = value.items() if isinstance(value, Mapping) else [("", value)]
        lines.append(f"  {name}: " + ", ".join(f"{size} {one:.4g}".strip() for size, one in each))
    for size, wanted in paper.SHARED_FS.items():
        found = fitted.found[size]
        cells = (f"{name} {getattr(found, name):.1f} ({getattr(wanted, name)})" for name in ("mean", "median", "std"))
        lines.append(f"  {size} workers: {', '.join(cells)}")
    lines.append(f"  run time with 128 workers over 256: {fitted.gain:.3f} ({paper.SHARED_FS_GAIN})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
