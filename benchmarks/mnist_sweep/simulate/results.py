"""What did all runs of a simulated sweep come to: moments, speed-ups, errors against the paper."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from benchmarks.figures import Figure
from benchmarks.mnist_sweep.simulate import paging, paper
from benchmarks.mnist_sweep.simulate.paging import moments
from benchmarks.mnist_sweep.simulate.paper import Moments
from benchmarks.mnist_sweep.simulate.parameters import Parameters
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy, Sweep, TaskTime

PARTS = ("environment_s", "unpacking_s", "dataset_s", "paging_s", "compute_s", "rest_s")


def name_of(run: Sweep) -> str:
    """What distributed this run's data."""
    if run.distribution is Distribution.SHARED_FS:
        return str(run.distribution.value)
    return f"{run.distribution.value} ({run.policy.value} policy)"


def error(ours: float, papers: float) -> float:
    """How far ours is from the paper's, as a share of the paper's."""
    return ours / papers - 1


@dataclass(frozen=True, slots=True)
class Saved:
    """What one way saves over another, draw for draw: in seconds, with the standard error of that mean."""

    mean_s: float
    error_s: float | None  # One draw has none.


def saved(pairs: Sequence[tuple[float, float]]) -> Saved:
    """Of what the other took and what this one took, in the same draw each."""
    differences = [theirs - ours for theirs, ours in pairs]
    spread = statistics.stdev(differences) / len(pairs) ** 0.5 if len(pairs) > 1 else None
    return Saved(statistics.fmean(differences), spread)


class Results:
    """All runs, to be asked for by what they were."""

    def __init__(self, parameters: Parameters, sweeps: Iterable[Sweep]) -> None:
        self.parameters = parameters
        draws: dict[tuple[int, Distribution, Policy], list[Sweep]] = {}
        for run in sweeps:
            draws.setdefault((run.workers, run.distribution, run.policy), []).append(run)
        self._draws = {what: {run.seed: run for run in runs} for what, runs in draws.items()}
        self._by_what = {what: together(runs) for what, runs in draws.items()}
        self.draws = max(map(len, draws.values()))
        order = list(Distribution), list(Policy)
        self.sweeps = sorted(
            self._by_what.values(),
            key=lambda run: (run.workers, order[0].index(run.distribution), order[1].index(run.policy)),
        )
        self.sizes = sorted({run.workers for run in self.sweeps})
        self.tasks = max(len(run.times) for run in self.sweeps) // self.draws

    def run(self, workers: int, distribution: Distribution, policy: Policy = Policy.VINE) -> Sweep | None:
        return self._by_what.get((workers, distribution, policy))

    def moments(self, workers: int, distribution: Distribution, policy: Policy = Policy.VINE) -> Moments | None:
        run = self.run(workers, distribution, policy)
        return None if run is None else moments([time.task_s for time in run.times])

    def run_speedup(self, workers: int, policy: Policy, distribution: Distribution = Distribution.VINE) -> float | None:
        """The run time on the shared filesystem over that of this policy."""
        base, run = self.run(workers, Distribution.SHARED_FS), self.run(workers, distribution, policy)
        return None if base is None or run is None else base.run_s / run.run_s

    def task_speedup(self, workers: int, policy: Policy) -> float | None:
        """The mean task time on the shared filesystem over that of this policy."""
        base = self.moments(workers, Distribution.SHARED_FS)
        found = self.moments(workers, Distribution.VINE, policy)
        return None if base is None or found is None else base.mean / found.mean

    def saved(self, workers: int, distribution: Distribution) -> dict[str, Saved]:
        """What our policy saves over whole files, draw for draw: of the run, of a task, and of each part of that."""
        theirs, ours = (self._draws.get((workers, distribution, policy), {}) for policy in Policy)
        pairs = [(theirs[seed], ours[seed]) for seed in sorted(theirs.keys() & ours.keys())]
        if not pairs:
            return {}
        found = {"run_s": saved([(first.run_s, second.run_s) for first, second in pairs])}
        for part in ("task_s", *PARTS):
            found[part] = saved([(mean_of(first.times, part), mean_of(second.times, part)) for first, second in pairs])
        return found

    def bound(self, workers: int) -> tuple[float, float] | None:
        """The speed-ups over shared-fs, in run and mean task time, of data that cost nothing, with the same nodes."""
        base = self._draws.get((workers, Distribution.SHARED_FS, Policy.VINE))
        if base is None:
            return None
        free = paging.without_data(self.parameters)
        runs = [paging.run(free, workers, self.tasks, seed) for seed in base]
        run_s = statistics.fmean(run.run_s for run in base.values()) / statistics.fmean(run.run_s for run in runs)
        means = [statistics.fmean(times) for times in zip(*[run.task_s for run in runs], strict=True)]
        shared = self.moments(workers, Distribution.SHARED_FS)
        assert shared is not None, "it has runs"
        return run_s, shared.mean / statistics.fmean(means)

    def gain(self, distribution: Distribution, policy: Policy = Policy.VINE) -> float | None:
        """The run time with 128 workers over that with 256."""
        half, full = self.run(128, distribution, policy), self.run(256, distribution, policy)
        return None if half is None or full is None else half.run_s / full.run_s

    def figures(self) -> list[Figure]:
        """For programs: the project's figures of this benchmark."""
        found = []
        for size in self.sizes:
            for policy in Policy:
                params = {"mode": "simulate", "policy": policy.value, "workers": size, "tasks": self.tasks}
                speedups = {
                    f"run_speedup_{size}": self.run_speedup(size, policy),
                    f"task_speedup_{size}": self.task_speedup(size, policy),
                }
                found += [Figure(name, value, "", params) for name, value in speedups.items() if value is not None]
        return found

    def summary(self) -> list[dict[str, Any]]:
        """Each run in figures."""
        return [
            {
                "workers": run.workers,
                "distribution": run.distribution.value,
                "policy": None if run.distribution is Distribution.SHARED_FS else run.policy.value,
                "tasks": self.tasks,
                "draws": self.draws,
                "run_s": run.run_s,
                "pack_s": run.pack_s,
                "at_once": run.at_once,
                "manager_copies": run.manager_copies,
                "task_s": {field.name: getattr(of_run(run), field.name) for field in fields(Moments)},
                "mean": breakdown(run),
                "digest": run.digest,
            }
            for run in self.sweeps
        ]


def together(runs: Sequence[Sweep]) -> Sweep:
    """One run that stands for several draws: the mean of what is of a run, and all that is of tasks."""
    runs = sorted(runs, key=lambda run: run.seed)
    return replace(
        runs[0],
        run_s=statistics.fmean(run.run_s for run in runs),
        at_once=max(run.at_once for run in runs),
        manager_copies=statistics.fmean(run.manager_copies for run in runs),
        times=tuple(time for run in runs for time in run.times),
        digest=" ".join(run.digest for run in runs),
    )


def of_run(run: Sweep) -> Moments:
    return moments([time.task_s for time in run.times])


def breakdown(run: Sweep) -> dict[str, float]:
    """The mean of each part of the task time."""
    return {part: mean_of(run.times, part) for part in PARTS}


def mean_of(times: Iterable[TaskTime], part: str) -> float:
    return statistics.fmean(getattr(time, part) for time in times)


def papers_of(distribution: Distribution, workers: int) -> Moments | None:
    """What the paper has of this; of vine-hot it has no table."""
    columns = {Distribution.SHARED_FS: paper.SHARED_FS, Distribution.VINE: paper.VINE}
    return columns[distribution].get(workers) if distribution in columns else None
