"""The workloads are what they say: all kinds of tasks, and graphs of the right size and shape."""

from __future__ import annotations

from collections import Counter

from benchmarks.scale.workloads import KINDS, Batch, Workload
from vine.names import TaskId
from vine.wire.parts import TaskKind, TaskSpec


def made(batches: list[Batch]) -> list[TaskSpec]:
    return [task for batch in batches for task in batch.tasks]


def ready() -> Workload:
    workload = Workload()
    workload.setup()
    return workload


def test_a_mixture_has_every_kind_by_its_share_and_declares_a_tasks_own_input_before_it() -> None:
    workload = ready()
    batches = list(workload.mixture(2000))
    counts = Counter(task.label for task in made(batches))
    for kind in KINDS:
        assert abs(counts[kind.label] / 2000 - kind.share) < 0.05
    own = {mount.file_id for batch in batches for task in batch.tasks for mount in task.inputs}
    assert own == {file.file_id for batch in batches for file in batch.files} == set(workload.inputs.values())
    assert any(task.kind is TaskKind.COMMAND for task in made(batches))


def test_equal_seeds_make_equal_mixtures() -> None:
    assert list(ready().mixture(100)) == list(ready().mixture(100))


def test_a_stage_takes_results_of_the_stage_before_and_they_are_let_go_once_it_is_submitted() -> None:
    batches = list(ready().stages(12, width=4))
    tasks = made(batches)
    stage = {task.task_id: place // 4 for place, task in enumerate(tasks)}
    assert [len(task.depends) for task in tasks] == [0] * 4 + [3] * 8
    assert all(stage[needed] == stage[task.task_id] - 1 for task in tasks for needed in task.depends)
    said: set[TaskId] = set()
    for batch in batches:
        said |= {task.task_id for task in batch.tasks}
        assert not batch.dropped or all(any(task_id in task.depends for task in tasks) for task_id in batch.dropped)
        assert said >= set(batch.dropped)
    assert {task_id for batch in batches for task_id in batch.dropped} == {t for t, at in stage.items() if at < 2}
    assert {task_id for batch in batches for task_id in batch.kept} == {t for t, at in stage.items() if at < 2}


def test_a_reduction_ends_in_one_task_and_takes_every_result_once() -> None:
    tasks = made(list(ready().reduction(100, fan_in=10)))
    assert len(tasks) == 100 + 10 + 1
    taken = Counter(needed for task in tasks for needed in task.depends)
    assert set(taken) == {task.task_id for task in tasks[:-1]} and set(taken.values()) == {1}
