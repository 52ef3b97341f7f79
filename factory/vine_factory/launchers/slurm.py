"""How are workers run by Slurm: as array jobs, one element a worker, known by the job's name and the index."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.job_table import JobTable
from vine_factory.script import Batch, WorkerPlan, job_name

_MB_PER_MIB = 1_048_576 / 1_000_000
_WAITING = frozenset({"PD", "RQ", "RF", "RH", "RS", "RD"})  # in the queue, or back in it
_HELD = frozenset({"RH", "SE"})  # requeued held, special exit: nothing but a person lets it run


class SlurmLauncher:
    """sbatch, squeue and scancel, for the user that runs this."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._jobs = JobTable(plan)  # as Slurm names them: JOB_INDEX

    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        batch = Batch.of(worker_ids)
        index = "${SLURM_ARRAY_TASK_ID:-0}"
        script = commands.write_script(self._plan, batch, self._directives(batch), index)
        return ["sbatch", "--parsable", str(script)]

    def _directives(self, batch: Batch) -> list[str]:
        plan, size = self._plan, self._plan.size
        options = [
            f"--job-name={job_name(plan, batch)}",
            f"--array=0-{batch.number - 1}",
            f"--output={plan.scratch}/%x+%a.log",
            "--open-mode=append",
            "--no-requeue",  # Who comes back under its old name would be waited for.
            "--ntasks=1",
            f"--cpus-per-task={max(1, math.ceil(size.cores))}",
            f"--mem={max(1, math.ceil(size.memory_mb / _MB_PER_MIB))}M",
        ]
        if size.gpus:
            options.append(f"--gres=gpu:{math.ceil(size.gpus)}")
        if plan.options.wall_time is not None:
            options.append(f"--time={max(1, math.ceil(plan.options.wall_time / 60))}")
        return [f"#SBATCH {option}" for option in (*options, *plan.options.batch_option)]

    def submit(self, worker_ids: Sequence[WorkerId]) -> None:
        answer = commands.run(self.prepare(worker_ids)).strip()
        job = answer.split(";")[0]  # The cluster's name may follow.
        if not job.isdigit():
            raise LaunchFailed(f"sbatch said {answer!r}, which is no job: look at squeue")
        name = job_name(self._plan, Batch.of(worker_ids))
        for index in range(len(worker_ids)):
            self._jobs.note(f"{job}_{index}", name, index)

    def query(self) -> dict[WorkerId, JobState]:
        command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%F|%K|%t|%j"]
        found = {}
        for line in commands.run(command).splitlines():
            job, index, state, name = line.strip().split("|", 3)
            worker_id = self._jobs.note(f"{job}_{index}", name, int(index)) if index.isdigit() else None
            if worker_id is not None:
                waits = JobState.PENDING if state in _WAITING else JobState.RUNNING
                found[worker_id] = JobState.HELD if state in _HELD else waits
        self._jobs.keep(found)
        return found

    def cancel(self, worker_ids: Sequence[WorkerId]) -> None:
        for some in commands.portions(self._jobs.named(worker_ids)):
            commands.run(["scancel", "--quiet", *some])

    def last_words(self, worker_id: WorkerId) -> str:
        return self._jobs.last_words(worker_id)

    def close(self) -> None:
        """Nothing is held here."""
