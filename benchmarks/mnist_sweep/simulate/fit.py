"""How do the fitted parameters come about: the search for those that explain the paper's shared-fs column best.

    python -m benchmarks.mnist_sweep.simulate.fit [--reading NAME,NAME] [--write]

What is fitted on are twelve numbers (mean, median and deviation of four runs) and the gain from 128 to 256
workers; no number of the paper's vine column is read. Nothing but these pulls: what is known from elsewhere is
taken as given, and what is not is free.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from benchmarks.mnist_sweep.simulate import paging, paper, parameters, readings
from benchmarks.mnist_sweep.simulate.parameters import CLUSTER, Parameters
from benchmarks.mnist_sweep.simulate.readings import MODEL, READINGS, Found, Reading
from vine.errors import ExitCode, VineError

_TOLERANCE = {"mean": 0.03, "median": 0.03, "std": 0.10, "gain": 0.03}  # relative errors that weigh alike
_FIRST: Mapping[str, tuple[float, ...]] = {  # where searches begin: orders of magnitude, each with each
    "metadata_operations": (2_000, 20_000),
    "compute_spread": (0.3,),
    "arrival_workers_per_s": (0.3,),
    "others_streams": (300.0,),  # as seconds that a task alone would look up beside them
    "slow_factor": (2.0,),
    "slow_share": (0.05, 0.7),
}
_SLOPE_STEPS, _STEP_MOST = (0.3, 0.1, 0.03), 0.7  # of the search, in the logarithms and logits that it moves in
_FARTHEST = 14.0  # ... and how far: e^14 is a million
_DAMPING, _DAMPING_MOST = 1.0, 1e4
_WORTH = 0.002  # of the misfit: a step that gains less is the last but a few
_SEEDS = (0, 1)  # of the dice; what is fitted shall not hang on one throw

Point = dict[str, float]  # coordinates of the search by name, e.g. "slow_share 32"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A point of the search, what it says, and how far it is from the paper."""

    parameters: Parameters
    errors: NDArray[numpy.float64]  # in tolerances
    found: Mapping[int, paper.Moments]
    gain: float

    @property
    def misfit(self) -> float:
        return float(self.errors @ self.errors)


def to_point(name: str, value: float) -> float:
    """A parameter as the search has it: no value of a coordinate stands for nonsense."""
    if name == "slow_share":
        return math.log(value / (1 - value))
    return math.log(value - 1 if name == "slow_factor" else value)


def from_point(name: str, value: float) -> float:
    value = min(_FARTHEST, max(-_FARTHEST, value))
    if name == "slow_share":
        return 1 / (1 + math.exp(-value))
    return math.exp(value) + (1 if name == "slow_factor" else 0)


def starts(reading: Reading) -> list[Point]:
    """Where searches begin."""
    names = [*reading.free, *reading.each_run]
    found = []
    for values in product(*(_FIRST[name] for name in names)):
        first = dict(zip(names, values, strict=True))
        found.append({name: to_point(name.split()[0], first[name.split()[0]]) for name in reading.coordinates})
    return found


def parameters_of(point: Point, base: Parameters, reading: Reading) -> Parameters:
    """The cluster that a point of the search stands for."""
    values: dict[str, Any] = dict(reading.given)
    for name in (*reading.free, *reading.each_run):
        if name in parameters.EACH_RUN:
            values[name] = {
                size: from_point(name, point.get(f"{name} {size}", point.get(name, 0.0))) for size in paper.SIZES
            }
        else:
            values[name] = from_point(name, point[name])
    operations = values["metadata_operations"]
    values[
        "others_streams"
    ] = {  # The search has them as seconds, so that one coordinate does not drag the other along.
        size: seconds * base.metadata_operations_per_s / operations
        for size, seconds in values["others_streams"].items()
    }
    return replace(base, **values)


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

    def __init__(self, base: Parameters, reading: Reading, start: Point) -> None:
        self._base, self._reading = base, reading
        self._known: dict[tuple[Any, ...], tuple[paper.Moments, float]] = {}
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
        """A row for each coordinate: by how much each error grows along it."""
        rows = []
        for name, value in self.point.items():
            there = self.evaluated({**self.point, name: value + width})
            back = self.evaluated({**self.point, name: value - width})
            rows.append((there.errors - back.errors) / (2 * width))
        return numpy.array(rows)

    def _step(self, here: Fitted, slopes: NDArray[numpy.float64], damping: float) -> Point:
        square = slopes @ slopes.T
        square += damping * numpy.eye(len(square))
        steps = numpy.linalg.solve(square, -slopes @ here.errors).clip(-_STEP_MOST, _STEP_MOST)
        return {name: value + float(step) for (name, value), step in zip(self.point.items(), steps, strict=True)}

    def evaluated(self, point: Point) -> Fitted:
        """What a point explains."""
        cluster = parameters_of(point, self._base, self._reading)
        runs = {size: self._run(cluster, size) for size in paper.SIZES}
        found, gain = {size: run[0] for size, run in runs.items()}, runs[128][1] / runs[256][1]
        return Fitted(cluster, numpy.array(errors(found, gain)), found, gain)

    def _run(self, cluster: Parameters, size: int) -> tuple[paper.Moments, float]:
        """Moments and run time of one size, over several draws of the dice."""
        own: dict[str, Any] = {name: {size: cluster.at(name, size)} for name in parameters.EACH_RUN}
        key = (size, str(replace(cluster, **own)))
        if key not in self._known:
            runs = [paging.run(cluster, size, paper.TASKS, seed) for seed in _SEEDS]
            together = [seconds for run in runs for seconds in run.task_s]
            self._known[key] = paging.moments(together), sum(run.run_s for run in runs) / len(runs)
        return self._known[key]


def fit(base: Parameters, reading: Reading, told: Callable[[Fitted], None] = lambda fitted: None) -> Fitted:
    """The best of the searches from all starts; `told` hears what each has found."""
    found = []
    for start in starts(reading):
        found.append(Search(base, reading, start).best())
        told(found[-1])
    return min(found, key=lambda fitted: fitted.misfit)


def found_of(fitted: Fitted, reading: Reading) -> Found:
    """As the files have it."""
    names = (*reading.free, *reading.each_run)
    return Found(fitted.misfit, {name: getattr(fitted.parameters, name) for name in names})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist_sweep.simulate.fit",
        description="Fit the simulated cluster on the shared-fs column of the paper's Table 1, by some readings.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--reading", type=_names, default=",".join(READINGS), metavar="R,R", help=f"some of {', '.join(READINGS)}"
    )
    parser.add_argument("--cluster", type=Path, default=CLUSTER, metavar="FILE", help="the parameters that are given")
    parser.add_argument(
        "--readings", type=Path, default=readings.FITTED, metavar="FILE", help="where --write puts them"
    )
    parser.add_argument("--write", action="store_true", help=f"write what is found; {MODEL} goes into the cluster, too")
    options = parser.parse_args(arguments)
    try:
        _fit_all(options.reading, options.cluster, options.readings if options.write else None)
    except VineError as error:
        print(f"fit: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in READINGS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(READINGS)}")
    return names


def _fit_all(names: Sequence[str], cluster: Path, out: Path | None) -> None:
    base, _ = parameters.read(cluster)
    for name in names:
        reading = READINGS[name]
        print(f"{name}: {reading.says}", flush=True)
        best = fit(base, reading, lambda fitted: print(f"  a search ends at misfit {fitted.misfit:.2f}", flush=True))
        found = found_of(best, reading)
        print(described(best, found), flush=True)
        if out is not None:
            known = readings.read(out, all_of_them=False) if out.exists() else {}
            out.write_text(readings.text_of({**known, name: found}))
        if out is not None and name == MODEL:
            cluster.write_text(parameters.rewritten(cluster.read_text(), found.values))


def described(fitted: Fitted, found: Found) -> str:
    """What was found, and how far what it explains is from the paper."""
    lines = [f"  {name}: {parameters.shown(value)}" for name, value in found.values.items()]
    for size, wanted in paper.SHARED_FS.items():
        ours = fitted.found[size]
        cells = (f"{name} {getattr(ours, name):.1f} ({getattr(wanted, name)})" for name in ("mean", "median", "std"))
        lines.append(f"  {size} workers: {', '.join(cells)}")
    lines.append(f"  run time with 128 workers over 256: {fitted.gain:.3f} ({paper.SHARED_FS_GAIN})")
    lines.append(f"  misfit {fitted.misfit:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
