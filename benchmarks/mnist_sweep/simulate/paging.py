"""How long do tasks take that read in place, if nobody but the nodes and the filesystem matters?

A queue of tasks and slots that take the next one: what fitting needs a thousand times. The simulator, with
the true scheduler between the two, must come to the same.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.mnist_sweep.simulate import pool
from benchmarks.mnist_sweep.simulate.filesystem import Mount
from benchmarks.mnist_sweep.simulate.paper import Moments
from benchmarks.mnist_sweep.simulate.parameters import Parameters
from benchmarks.simulator.clock import Clock


@dataclass(frozen=True, slots=True)
class Paged:
    """A run on the shared filesystem, in seconds."""

    task_s: list[float]
    run_s: float


def moments(seconds: list[float]) -> Moments:
    return Moments(statistics.fmean(seconds), statistics.median(seconds), statistics.pstdev(seconds))


def without_data(parameters: Parameters) -> Parameters:
    """The cluster on which environment and dataset cost nothing: no way to bring them can be better."""
    return replace(parameters, metadata_operations=0.0, environment_bytes=0.0, dataset_bytes=0.0)


def run(parameters: Parameters, workers: int, tasks: int, seed: int = 0) -> Paged:
    """The whole run."""
    clock = Clock()
    shared = pool.filesystem(parameters, clock, workers)
    task_s: list[float] = []
    left = tasks

    def take(seconds: Iterator[float], mount: Mount) -> None:
        nonlocal left
        if left:
            left -= 1
            start_s = clock.now()

            def end() -> None:
                task_s.append(clock.now() - start_s)
                take(seconds, mount)

            mount.start_task(parameters.metadata_operations, partial(clock.after, next(seconds), end))

    for node in pool.nodes(parameters, workers, seed):
        mount, seconds = Mount(shared), pool.compute_times(parameters, node, seed)
        for _ in range(pool.slots_of(parameters)):
            clock.after(node.arrives_s, partial(take, seconds, mount))
    clock.run()
    return Paged(task_s, clock.now())
