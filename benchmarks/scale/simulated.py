"""What does the scheduler cost for each task: of many that do not need each other, and of graphs?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from benchmarks.figures import Figure
from benchmarks.scale.memory import resident_bytes
from benchmarks.scale.run import Run, Setup
from benchmarks.scale.workloads import KINDS, Batch, Workload

_STAGE_WIDTH = 1000
_FAN_IN = 1000
_GRAPH_WORKERS = 1000
_GRAPH_TASK_S = 1.0
_MEANS_S = {kind.label: kind.mean_s for kind in KINDS}
_MEANS_S |= dict.fromkeys(("graph.step", "graph.map", "graph.reduce"), _GRAPH_TASK_S)
GRAPHS = ("stages", "reduction")


def mixture(workers: int, tasks: int) -> list[Figure]:
    """Tasks of several kinds on so many workers, which join, work and leave; all that the core does is counted."""
    run = Run(Setup(workers), _MEANS_S, f"{workers:,} workers")
    run.go(lambda workload: workload.mixture(tasks), tasks, _nothing)
    _say_steps(run, tasks)
    params = {"workers": workers, "tasks": tasks}
    standing = run.scheduler.standing_s / run.clock.now()
    return [
        Figure("core_us_per_task", run.scheduler.task_s / tasks * 1e6, "us", params),
        Figure("core_standing_share", standing, "core", {**params, "of": "heartbeats, ticks, snapshots"}),
    ]


def graph(kind: str, tasks: int) -> list[Figure]:
    """Tasks that take each other's results; the workers come when all are submitted."""
    batches: Callable[[Workload], Iterator[Batch]]
    if kind == "stages":
        count, shape = tasks, {"width": _STAGE_WIDTH}

        def batches(workload: Workload) -> Iterator[Batch]:
            return workload.stages(tasks, _STAGE_WIDTH)
    else:
        count, shape = reduction_size(tasks, _FAN_IN), {"fan_in": _FAN_IN}

        def batches(workload: Workload) -> Iterator[Batch]:
            return workload.reduction(tasks, _FAN_IN)

    run = Run(Setup(_GRAPH_WORKERS, join_first=False), _MEANS_S, kind)
    before = resident_bytes()
    held = [0]

    def submitted() -> None:
        held[0] = resident_bytes() - before

    run.go(batches, count, submitted)
    assert run.failed == 0, f"{run.failed} tasks of the graph have failed"
    _say_steps(run, count)
    params = {"graph": kind, "tasks": count, **shape, "workers": _GRAPH_WORKERS}
    return [
        Figure("graph_core_us_per_task", run.scheduler.task_s / count * 1e6, "us", params),
        Figure("graph_bytes_per_task", held[0] / count, "B", {**params, "by": "resident memory, all submitted"}),
    ]


def reduction_size(leaves: int, fan_in: int) -> int:
    """The tasks of a reduction to one."""
    count = level = leaves
    while level > 1:
        level = -(-level // fan_in)
        count += level
    return count


def _say_steps(run: Run, tasks: int) -> None:
    """Where the time went, for who wants to know more than the figures."""
    for kind, seconds in sorted(run.scheduler.seconds.items(), key=lambda entry: -entry[1]):
        steps = run.scheduler.steps[kind]
        each_us, a_task_us = seconds / steps * 1e6, seconds / tasks * 1e6
        text = f"{kind:>16} {steps:>10,} steps {each_us:>9.1f} us each {a_task_us:>7.2f} us a task"
        print(f"scale: {text}", file=sys.stderr, flush=True)


def _nothing() -> None:
    """Nobody waits for it."""
