"""Is what a task asked for, got and used told in amounts that mean what they say?"""

from __future__ import annotations

from vine.client import resources
from vine.client.resources import TaskResources
from vine.names import TaskId
from vine.wire.parts import Measured, Outcome, Request, Resources, TaskResult, Times

LONG = TaskResult(
    TaskId(1),
    Outcome.SUCCESS,
    times=Times(run_s=2.0),
    measured=Measured(3.0, 100.0, 50.0),
    allotment=Resources(2, 400, 500, 1),
)
SHORT = TaskResult(TaskId(1), Outcome.SUCCESS, times=Times(run_s=0.01))


def test_what_a_long_task_used_is_told_with_the_cores_that_it_kept_busy() -> None:
    assert resources.measured(LONG) == TaskResources(1.5, 100.0, 50.0, None, 2.0, 3.0)
    assert resources.allocated(LONG) == TaskResources(2, 400, 500, 1)


def test_of_a_short_task_only_its_time_is_known() -> None:
    assert resources.measured(SHORT) == TaskResources(wall_time=0.01)
    assert resources.allocated(SHORT) == TaskResources()


def test_the_limit_that_was_exceeded_is_the_only_one_told() -> None:
    request = Request(cores=1, memory_mb=10, disk_mb=20)
    ended = {outcome: TaskResult(TaskId(1), outcome) for outcome in Outcome}
    assert resources.exceeded(ended[Outcome.MEMORY_LIMIT], request, 5.0) == TaskResources(memory=10)
    assert resources.exceeded(ended[Outcome.DISK_LIMIT], request, 5.0) == TaskResources(disk=20)
    assert resources.exceeded(ended[Outcome.TIME_LIMIT], request, 5.0) == TaskResources(wall_time=5.0)
    assert resources.exceeded(ended[Outcome.SUCCESS], request, 5.0) is None


def test_what_was_asked_for_is_told_as_it_was() -> None:
    assert resources.requested(Request(cores=1, gpus=2)) == TaskResources(cores=1, gpus=2)
