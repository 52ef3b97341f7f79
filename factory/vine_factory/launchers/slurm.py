"""How are workers run by Slurm: as array jobs, one element a worker, known by the job's name and the index."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence

from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.queued import QueuedLauncher
from vine_factory.script import Batch, job_name

_MB_PER_MIB = 1_048_576 / 1_000_000
_WAITING = frozenset({"PD", "CF", "RQ", "RF", "RH", "RS", "RD"})  # in the queue, back in it, or its node boots
_HELD = frozenset({"RH", "SE"})  # requeued held, special exit: nothing but a person lets it run; or it waits for ...
_HELD_FOR = frozenset(
    {"BadConstraints", "DependencyNeverSatisfied", "JobHeldAdmin", "JobHeldUser", "JobHoldMaxRequeue"}
)


class SlurmLauncher(QueuedLauncher):
    """sbatch, squeue and scancel; a worker is JOB_INDEX."""

    removal = ("scancel", "--quiet")

    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        batch = Batch.of(worker_ids)
        index = "${SLURM_ARRAY_TASK_ID:-0}"
        script = commands.write_script(self._plan, batch, self._directives(), index)
        # A line of the script counts less than a variable of the user's shell, such as SBATCH_PARTITION.
        return ["sbatch", "--parsable", *self._asked(), *self._identity(batch), str(script)]

    def _asked(self) -> list[str]:
        options = self._plan.options.batch_option
        try:
            return [word for option in options for word in shlex.split(option)]
        except ValueError as why:
            raise LaunchFailed(f"--batch-option {shlex.join(options)} is none of sbatch: {why}") from None

    def _identity(self, batch: Batch) -> list[str]:
        """By what a job is known again: on the command line, where no line of the user's and no SBATCH_ variable
        overrides it; and there a folder's name may have spaces."""
        scratch = str(self._plan.scratch).replace("%", "%%")
        return [
            f"--job-name={job_name(self._plan, batch)}",
            f"--array=0-{batch.number - 1}",
            f"--output={scratch}/%x+%a.log",
            "--open-mode=append",
            "--no-requeue",  # Who comes back under its old name would be waited for.
        ]

    def _directives(self) -> list[str]:
        plan, size = self._plan, self._plan.size
        options = [
            "--ntasks=1",
            f"--cpus-per-task={max(1, math.ceil(size.cores))}",
            f"--mem={max(1, math.ceil(size.memory_mb / _MB_PER_MIB))}M",
        ]
        if size.gpus:
            options.append(f"--gres=gpu:{math.ceil(size.gpus)}")
        if plan.options.wall_time is not None:
            options.append(f"--time={max(1, math.ceil(plan.options.wall_time / 60))}")
        return [f"#SBATCH {option}" for option in (*options, *plan.options.batch_option)]

    def submitted_as(self, answer: str) -> str:
        return answer.split(";")[0]  # The cluster's name may follow.

    def element(self, job: str, index: int) -> str:
        return f"{job}_{index}"

    def query(self) -> dict[WorkerId, JobState]:
        command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%F|%K|%t|%r|%j"]
        found = {}
        for line in commands.run(command).splitlines():
            if line.count("|") < 4:
                continue  # CLUSTER: NAME, where SLURM_CLUSTERS names some.
            job, index, state, reason, name = line.strip().split("|", 4)
            worker_id = self._jobs.note(self.element(job, int(index)), name, int(index)) if index.isdigit() else None
            if worker_id is not None:
                found[worker_id] = _state_of(state, reason)
        self._jobs.keep(found)
        return found


def _state_of(state: str, reason: str) -> JobState:
    """By the compact state and, of one that waits, why it does."""
    if state in _HELD or (state == "PD" and (reason in _HELD_FOR or "requeued held" in reason)):
        return JobState.HELD
    return JobState.PENDING if state in _WAITING else JobState.RUNNING
