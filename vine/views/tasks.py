"""Which tasks have not ended, and where is each of them?"""

from __future__ import annotations

from typing import Any

from vine.views.reading import Run
from vine.views.why import KnownTask, open_tasks, state_of, worker_of

_ON_WORKERS = ("staged", "running", "collecting")


def rows(run: Run) -> list[dict[str, Any]]:
    """As plain data, in the order in which they were submitted."""
    heard = run.snapshot()
    snapshot = {} if heard is None else heard[1]
    return [_row(run, snapshot, task) for task in open_tasks(run.connection)]


def _row(run: Run, snapshot: dict[str, Any], task: KnownTask) -> dict[str, Any]:
    spec, state = task.spec, state_of(run.connection, snapshot, task)
    return {
        "task_id": task.task_id,
        "state": state,
        "label": spec.label,
        "tag": spec.tag,
        "category": "" if spec.policy is None else spec.policy.category,
        "priority": spec.priority,
        "worker": worker_of(run.connection, task.task_id) if state in _ON_WORKERS else None,
    }
