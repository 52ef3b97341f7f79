"""A small cluster and a small sweep, for tests."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from benchmarks.mnist_sweep.simulate import parameters
from benchmarks.mnist_sweep.simulate.results import Results
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy, Sweep, Wanted, sweep

# As the paper's, with a packed environment of 64 chunks.
PARAMETERS = replace(
    parameters.read()[0],
    environment_bytes=80e6,
    environment_packed_bytes=16e6,
    dataset_bytes=3e6,
    dataset_packed_bytes=2e6,
    arrival_workers_per_s=1.0,
    compute_s=20.0,
    metadata_operations=2000.0,
    metadata_operations_per_s=2000.0,
    others_streams={4: 8.0},
    slow_share={4: 0.25},
    slowest_over_fastest=1.0,
    slow_factor=2.0,
    link_bytes_per_s=4e6,
    disk_bytes_per_s=10e6,
)


@cache
def small(distribution: Distribution, policy: Policy = Policy.VINE, workers: int = 4, tasks: int = 64) -> Sweep:
    return sweep(Wanted(PARAMETERS, workers, tasks, distribution, policy))


@cache
def small_results() -> Results:
    runs = [small(Distribution.SHARED_FS)]
    runs += [small(distribution, policy) for distribution in list(Distribution)[1:] for policy in Policy]
    return Results(PARAMETERS, runs)
