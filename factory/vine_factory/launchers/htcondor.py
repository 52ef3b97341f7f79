"""How are workers run by HTCondor: as processes of a cluster, known by the batch's name and the process's number."""

from __future__ import annotations

import getpass
import math
import os
from collections.abc import Sequence
from pathlib import Path

from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.queued import QueuedLauncher
from vine_factory.script import Batch, is_archive, job_name

_MB_PER_MIB = 1_048_576 / 1_000_000
_STATES = {
    "1": JobState.PENDING,
    "2": JobState.RUNNING,
    "5": JobState.HELD,
    "6": JobState.RUNNING,
    "7": JobState.RUNNING,
}
_ASKED = ("ClusterId", "ProcId", "JobStatus", "JobBatchName")


class HTCondorLauncher(QueuedLauncher):
    """condor_submit, condor_q and condor_rm; a worker is CLUSTER.PROCESS."""

    removal = ("condor_rm",)

    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        batch = Batch.of(worker_ids)
        script = commands.write_script(self._plan, batch)
        submit_file = script.with_suffix(".submit")
        commands.write(submit_file, self._submit_text(batch, script))
        return ["condor_submit", "-terse", str(submit_file)]

    def _submit_text(self, batch: Batch, script: Path) -> str:
        plan, size, options = self._plan, self._plan.size, self._plan.options
        inputs = [str(plan.connection)]
        if options.worker_environment is not None and is_archive(options.worker_environment):
            inputs.append(os.path.abspath(options.worker_environment))
        name = job_name(plan, batch)
        lines = [
            f"# {batch.number} workers of the vine run {plan.run_id} for its factory {plan.factory}.",
            f"# By hand: condor_submit {script.with_suffix('.submit').name}",
            "universe = vanilla",
            f"executable = {_path(script)}",
            "arguments = $(Process)",
            f"request_cpus = {max(1, math.ceil(size.cores))}",
            f"request_memory = {max(1, math.ceil(size.memory_mb / _MB_PER_MIB))}MB",
            f"request_disk = {max(1, math.ceil(size.disk_mb / _MB_PER_MIB))}MB",
            *([f"request_gpus = {math.ceil(size.gpus)}"] if size.gpus else []),
            *([f"requirements = {options.requirements}"] if options.requirements else []),
            *([f"allowed_job_duration = {math.ceil(options.wall_time)}"] if options.wall_time is not None else []),
            "should_transfer_files = YES",
            "when_to_transfer_output = ON_EXIT",
            'transfer_output_files = ""',
            f"transfer_input_files = {','.join(map(_listed, inputs))}",
            *options.batch_option,
            f"batch_name = {name}",  # By this and its log a job is known again, whatever the user's lines say.
            f"output = {_path(plan.scratch)}/{name}+$(Process).log",
            f"error = {_path(plan.scratch)}/{name}+$(Process).log",
            f"log = {_path(plan.scratch)}/{name}.events",
            f"queue {batch.number}",
        ]
        return "\n".join(lines) + "\n"

    def submitted_as(self, answer: str) -> str:
        return answer.split(".")[0]  # It says the first and the last: 12.0 - 12.4

    def element(self, job: str, index: int) -> str:
        return f"{job}.{index}"

    def query(self) -> dict[WorkerId, JobState]:
        found = {}
        for line in commands.run(["condor_q", getpass.getuser(), "-autoformat:t", *_ASKED]).splitlines():
            cluster, process, status, name = line.split("\t", 3)
            if status not in _STATES:
                continue  # It has ended.
            worker_id = self._jobs.note(self.element(cluster, int(process)), name, int(process))
            if worker_id is not None:
                found[worker_id] = _STATES[status]
        self._jobs.keep(found)
        return found


def _path(path: Path | str) -> str:
    """As a submit file has it, in which $(NAME) is a macro."""
    return str(path).replace("$(", "$(DOLLAR)(")


def _listed(path: str) -> str:
    """As one of several."""
    if "," in path:
        raise LaunchFailed(f"HTCondor cannot transfer {path}, for a comma in its name: move the run, or that file")
    return _path(path)
