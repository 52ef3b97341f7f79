"""What does the batch system give a run: which nodes, when; and how long does each task compute?

One seed is one draw. What differs from node to node and from task to task has exactly the spread that the
parameters say, and the dice decide only who gets which: so runs differ by what is asked, and not by luck.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeVar

from benchmarks.mnist_sweep.simulate.filesystem import FairShare, SharedFilesystem
from benchmarks.mnist_sweep.simulate.parameters import Parameters
from benchmarks.simulator.clock import Clock

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Node:
    """One node that the batch system has given."""

    name: str
    slowness: float  # a task computes so many times longer than on a fast node
    arrives_s: float  # after the run has asked


def nodes(parameters: Parameters, workers: int, seed: int) -> list[Node]:
    """In the order of their names."""
    slow, more = parameters.at("slow_share", workers) * workers, parameters.slow_factor - 1
    ranks = [min(1.0, max(0.0, slow - number)) for number in range(workers)]  # One may be in between.
    slowness = _shuffled([1 + more * rank for rank in ranks], f"slow {workers} {seed}")
    evenly = [(number + 0.5) / workers * parameters.arrival_span_s for number in range(workers)]
    arrival = _shuffled(evenly, f"arrival {workers} {seed}")
    return [Node(f"w{number:04}", slowness[number], arrival[number]) for number in range(workers)]


def compute_times(parameters: Parameters, tasks: int, seed: int) -> list[float]:
    """Seconds of each task on a fast node: normal around the mean."""
    normal = NormalDist(1.0, parameters.compute_spread) if parameters.compute_spread else None
    shares = [1.0 if normal is None else normal.inv_cdf((number + 0.5) / tasks) for number in range(tasks)]
    return _shuffled([parameters.compute_s * max(0.1, share) for share in shares], f"compute {tasks} {seed}")


def filesystem(parameters: Parameters, clock: Clock, workers: int) -> SharedFilesystem:
    """The shared filesystem as the run of this size found it."""
    return SharedFilesystem(
        FairShare(clock, parameters.metadata_operations_per_s, others=parameters.at("others_streams", workers)),
        FairShare(clock, parameters.filesystem_bytes_per_s, each_per_s=parameters.filesystem_bytes_per_s_of_a_node),
        parameters.environment_bytes * parameters.environment_opened_share + parameters.dataset_bytes,
    )


def _shuffled(items: list[Item], dice: str) -> list[Item]:
    random.Random(dice).shuffle(items)  # A text is a seed that no hash of this process goes into.
    return items
