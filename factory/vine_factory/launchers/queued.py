"""What do launchers have in common whose workers wait in the queue of a batch system?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.job_table import JobTable
from vine_factory.script import Batch, WorkerPlan, job_name


class QueuedLauncher(ABC):
    """By the batch system's own commands, for the user that runs this."""

    removal: ClassVar[tuple[str, ...]]  # the command that ends the jobs whose names follow

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._jobs = JobTable(plan)

    @abstractmethod
    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]: ...

    @abstractmethod
    def query(self) -> Mapping[WorkerId, JobState]: ...

    @abstractmethod
    def submitted_as(self, answer: str) -> str:
        """The job's number in what the command that submits has said."""

    @abstractmethod
    def element(self, job: str, index: int) -> str:
        """What the batch system calls one of the workers that were submitted together."""

    def submit(self, worker_ids: Sequence[WorkerId]) -> None:
        command = self.prepare(worker_ids)
        answer = commands.run(command).strip()
        job = self.submitted_as(answer)
        if not job.isdigit():
            raise LaunchFailed(f"{command[0]} said {answer!r}, which is no job: look at the queue")
        name = job_name(self._plan, Batch.of(worker_ids))
        for index in range(len(worker_ids)):
            self._jobs.note(self.element(job, index), name, index)

    def cancel(self, worker_ids: Sequence[WorkerId]) -> None:
        failure = None
        for some in commands.portions(self._jobs.named(worker_ids)):
            try:
                commands.run([*self.removal, *some])
            except LaunchFailed as why:
                failure = failure or why
        # Such a command may fail because one of many jobs has just ended, and have removed the others all the same.
        if failure is not None and not self.query().keys().isdisjoint(worker_ids):
            raise failure

    def last_words(self, worker_id: WorkerId) -> str:
        return self._jobs.last_words(worker_id)

    def close(self) -> None:  # noqa: B027 - there may be nothing to give back
        """Nothing is held here."""
