"""What did a task ask for, get and use, in the words of its user?"""

from __future__ import annotations

from dataclasses import dataclass

from vine.wire.parts import Outcome, Request, TaskResult


@dataclass(frozen=True, slots=True)
class TaskResources:
    """Amounts of each kind; None for what is not known, or not meant. `memory` and `disk` are MB."""

    cores: float | None = None  # of what was measured: processor time over time
    memory: float | None = None
    disk: float | None = None
    gpus: float | None = None
    wall_time: float | None = None  # seconds, as `cpu_time`
    cpu_time: float | None = None


def requested(request: Request) -> TaskResources:
    return TaskResources(request.cores, request.memory_mb, request.disk_mb, request.gpus)


def allocated(result: TaskResult) -> TaskResources:
    """What the task was given on its worker; nothing is known of one that was too short to be measured."""
    given = result.allotment
    return TaskResources() if given is None else TaskResources(given.cores, given.memory_mb, given.disk_mb, given.gpus)


def measured(result: TaskResult) -> TaskResources:
    """What the task's body used; what is None was too short for that to be measured."""
    run_s, used = result.times.run_s, result.measured
    if used is None:
        return TaskResources(wall_time=run_s)
    cores = used.cpu_s / run_s if run_s else None
    return TaskResources(cores, used.memory_mb, used.disk_mb, None, run_s, used.cpu_s)


def exceeded(result: TaskResult, request: Request, time_limit_s: float | None) -> TaskResources | None:
    """The limit that the task was killed for, if it was; it may have been its category's."""
    given = allocated(result)
    if result.outcome is Outcome.MEMORY_LIMIT:
        return TaskResources(memory=given.memory if request.memory_mb is None else request.memory_mb)
    if result.outcome is Outcome.DISK_LIMIT:
        return TaskResources(disk=given.disk if request.disk_mb is None else request.disk_mb)
    if result.outcome is Outcome.TIME_LIMIT:
        return TaskResources(wall_time=time_limit_s)
    return None
