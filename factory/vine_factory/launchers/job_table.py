"""What does a batch system call our workers' jobs, and where are their logs?"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from vine.names import WorkerId
from vine_factory.launchers import commands
from vine_factory.script import WorkerPlan, worker_named


class JobTable:
    """Of one factory: jobs that are not its own are not noted."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._jobs: dict[WorkerId, str] = {}
        self._logs: dict[WorkerId, Path] = {}

    def note(self, job: str, name: str, index: int) -> WorkerId | None:
        """There is such a job, of this name and index; the worker that it is, if it is one of ours."""
        worker_id = worker_named(self._plan, name, index)
        if worker_id is not None:
            self._jobs[worker_id] = job
            self._logs[worker_id] = self._plan.scratch / f"{name}+{index}.log"
        return worker_id

    def keep(self, there: Container[WorkerId]) -> None:
        """Only these are there."""
        self._jobs = {worker_id: job for worker_id, job in self._jobs.items() if worker_id in there}

    def named(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        """What the jobs of these are called, of those that are there."""
        return [self._jobs[worker_id] for worker_id in worker_ids if worker_id in self._jobs]

    def last_words(self, worker_id: WorkerId) -> str:
        """The last line of the log of one that is gone."""
        log = self._logs.pop(worker_id, None)
        if log is None:
            return "its job has ended"
        line = commands.last_line_of(log)
        return f"its job has ended: {line} (log: {log})" if line else f"its job has ended (log, if it began: {log})"
