"""What does the batch system give a run: which nodes, when; and how long does each task compute?

One seed is one draw. What differs from node to node and from task to task has exactly the spread that the
parameters say, and the dice decide only the order: so runs differ by what is asked, and not by luck.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from benchmarks.mnist_sweep.simulate.filesystem import FairShare, SharedFilesystem
from benchmarks.mnist_sweep.simulate.parameters import Parameters
from benchmarks.simulator.clock import Clock

_LEAST = 0.1  # of the mean: no task takes no time

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Node:
    """One node that the batch system has given."""

    name: str
    slowness: float  # a task computes so many times longer than on the usual node
    arrives_s: float  # after the run has asked


def nodes(parameters: Parameters, workers: int, seed: int) -> list[Node]:
    """In the order of their names."""
    places = [(number + 0.5) / workers for number in range(workers)]
    fastest = 2 / (1 + parameters.slowest_over_fastest)  # so that they are as fast as the usual one on average
    speeds = [fastest * (1 + (parameters.slowest_over_fastest - 1) * place) for place in places]
    slow, more = parameters.at("slow_share", workers) * workers, parameters.slow_factor - 1
    ranks = [min(1.0, max(0.0, slow - number)) for number in range(workers)]  # One may be in between.
    arrival = [place * workers / parameters.arrival_workers_per_s for place in places]
    dealt = zip(
        _shuffled(speeds, f"speed {workers} {seed}"),
        _shuffled([1 + more * rank for rank in ranks], f"slow {workers} {seed}"),
        _shuffled(arrival, f"arrival {workers} {seed}"),
        strict=True,
    )
    return [Node(f"w{number:04}", speed * slow, arrives) for number, (speed, slow, arrives) in enumerate(dealt)]


def compute_times(parameters: Parameters, node: Node, seed: int) -> Iterator[float]:
    """Seconds that one task after the other computes on this node.

    Evenly spread around the mean, as a grid has a smallest and a largest network; as many as the node runs at once
    have the whole spread between them, one in each part of it. They belong to the node and not to a task's number,
    so that two ways to distribute data are not compared by which of them gave the longest task to the slowest node.
    """
    slots = slots_of(parameters)
    reach = parameters.compute_spread * math.sqrt(3)  # of an even spread of this deviation
    for wave in count():
        dice = random.Random(f"compute {node.name} {wave} {seed}")
        for part in dice.sample(range(slots), slots):
            share = 1 + reach * (2 * (part + dice.random()) / slots - 1)
            yield parameters.compute_s * max(_LEAST, share) * node.slowness


def slots_of(parameters: Parameters) -> int:
    """How many tasks a worker runs at once."""
    return int(
        min(
            parameters.worker_cores / parameters.task_cores,
            parameters.worker_memory_mb / parameters.task_memory_mb,
            parameters.worker_disk_mb / parameters.task_disk_mb,
        )
    )


def filesystem(parameters: Parameters, clock: Clock, workers: int) -> SharedFilesystem:
    """The shared filesystem as the run of this size found it."""
    return SharedFilesystem(
        FairShare(clock, parameters.metadata_operations_per_s, others=parameters.at("others_streams", workers)),
        FairShare(clock, parameters.filesystem_bytes_per_s, each_per_s=parameters.filesystem_bytes_per_s_of_a_node),
        parameters.environment_bytes * parameters.environment_opened_share + parameters.dataset_bytes,
    )


def _shuffled(items: Sequence[Item], dice: str) -> list[Item]:
    return random.Random(dice).sample(items, len(items))  # A text is a seed that no hash of this process goes into.
