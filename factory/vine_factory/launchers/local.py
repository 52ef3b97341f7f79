"""How are workers run on this machine: as processes, none of which outlives our client, or us if we have none."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from vine import config, control_groups
from vine.names import WorkerId
from vine.wire.parts import Request, Resources
from vine_factory.fleet import JobState
from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.left_behind import LeftBehind, Notes
from vine_factory.script import Batch, WorkerPlan

_MB = 1_000_000
_SHELL = "bash"  # runs a job's script, and is what a job's process is called until the script becomes the worker


@dataclass(slots=True)
class _Job:
    process: subprocess.Popen[bytes] | LeftBehind
    log: Path
    devices: tuple[str, ...] = ()  # the GPUs that only this worker may use
    kill_at: float | None = None  # Set when it has been asked to end.
    is_killed: bool = False


class LocalLauncher:
    """Each worker is a process that logs to NAME.log among the run's logs.

    Workers watch a pipe that nobody writes to, and end at its end. Where we have inherited the
    client's, that is the one: they outlive a factory that is killed, and the next one of its name
    takes them over; the client's end is theirs. Else it is our own, so that none is left with nobody.
    """

    def __init__(
        self, plan: WorkerPlan, logs: Path, parent_fd: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._logs = logs
        self._clock = clock
        self._gpus = math.ceil(plan.size.gpus)  # of each worker: no two of them have the same
        self._jobs: dict[WorkerId, _Job] = {}
        self._ended: dict[WorkerId, str] = {}
        self._notes = None if parent_fd is None else Notes(plan)
        if self._notes is not None:
            for worker_id, (process, devices) in self._notes.left_behind().items():
                self._jobs[worker_id] = _Job(process, self._log_of(worker_id), devices)
        self._own_pipe = os.pipe() if parent_fd is None else None
        self._watched_fd = self._own_pipe[0] if self._own_pipe else parent_fd

    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        return [_SHELL, str(commands.write_script(self._plan, Batch.of(worker_ids)))]

    def submit(self, worker_ids: Sequence[WorkerId]) -> None:
        command = self.prepare(worker_ids)
        try:
            for index, worker_id in enumerate(worker_ids):
                self._start(worker_id, [*command, str(index)])
        except LaunchFailed:
            for worker_id in [each for each in worker_ids if each in self._jobs]:  # All or none.
                job = self._jobs[worker_id]
                job.process.kill()
                job.process.wait()
                self._forget(worker_id)
            raise

    def _start(self, worker_id: WorkerId, command: Sequence[str]) -> None:
        assert worker_id not in self._jobs, "a worker's name was used twice"
        assert self._watched_fd is not None, "there is always a pipe to watch"
        log = self._log_of(worker_id)
        devices = self._free_devices(worker_id)
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            with open(log, "ab") as output:
                process = subprocess.Popen(
                    [*command, "--parent-fd", str(self._watched_fd)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else None,
                    pass_fds=(self._watched_fd,),
                    start_new_session=True,  # Ctrl-C in our terminal is for us, and we end them in order.
                )
        except OSError as error:
            raise LaunchFailed(f"cannot start worker {worker_id} with its log at {log}: {error}") from error
        self._jobs[worker_id] = _Job(process, log, devices)
        if self._notes is not None:
            self._notes.write(worker_id, process.pid, devices)

    def _log_of(self, worker_id: WorkerId) -> Path:
        return self._logs / f"{worker_id}.log"

    def _forget(self, worker_id: WorkerId) -> None:
        del self._jobs[worker_id]
        if self._notes is not None:
            self._notes.remove(worker_id)

    def _free_devices(self, worker_id: WorkerId) -> tuple[str, ...]:
        """GPUs by the names that CUDA knows: those that we may see, where that was said, else by number."""
        taken = {device for job in self._jobs.values() for device in job.devices}
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = map(str, itertools.count()) if visible is None else filter(None, visible.split(","))
        devices = tuple(itertools.islice((name for name in names if name not in taken), self._gpus))
        if len(devices) < self._gpus:
            raise LaunchFailed(
                f"cannot start worker {worker_id}: CUDA_VISIBLE_DEVICES={visible} has only {len(devices)} GPUs that no "
                f"other worker has, and each is to have {self._gpus}: start fewer workers, or give each fewer"
            )
        return devices

    def query(self) -> dict[WorkerId, JobState]:
        now = self._clock()
        for worker_id, job in list(self._jobs.items()):
            if job.process.poll() is not None:
                self._ended[worker_id] = _how_it_ended(job)
                self._forget(worker_id)
            elif job.kill_at is not None and now >= job.kill_at:
                _kill(job)
                job.kill_at = now + config.worker_stop_grace_s
        return dict.fromkeys(self._jobs, JobState.RUNNING)

    def cancel(self, worker_ids: Sequence[WorkerId]) -> None:
        for worker_id in worker_ids:
            job = self._jobs.get(worker_id)
            if job is not None and job.kill_at is None:
                job.process.terminate()
                job.kill_at = self._clock() + config.worker_stop_grace_s

    def last_words(self, worker_id: WorkerId) -> str:
        return self._ended.pop(worker_id, "it ended unseen")

    def close(self) -> None:
        for descriptor in self._own_pipe or ():
            os.close(descriptor)
        self._own_pipe = None


def _kill(job: _Job) -> None:
    """The worker alone: its own helper sees that it is gone, and ends what it ran.

    A script that waits for its worker ends with that, and removes the environment that it has unpacked; should it be
    there still when asked again, it is killed as well.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(job.process.pid)
        waited_for = process.children() if process.name() == _SHELL and not job.is_killed else []
        job.is_killed = True
        for each in waited_for or [process]:
            each.kill()


def _how_it_ended(job: _Job) -> str:
    """The exit code or signal, and the last line that the worker wrote: its errors are one line."""
    code = job.process.returncode
    if code is None:
        how = "ended"
    else:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last_line = commands.last_line_of(job.log)
    return f"{how}: {last_line} (log: {job.log})" if last_line else f"{how} (log: {job.log})"


def measure_machine(workspace: Path) -> Resources:
    """What this machine has for workers whose workspaces lie at or below this path."""
    existing = next(folder for folder in (workspace, *workspace.absolute().parents) if folder.exists())
    cores, memory = float(len(os.sched_getaffinity(0))), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Resources(
        cores=min(cores, control_groups.core_limit() or cores),
        memory_mb=min(memory, control_groups.memory_limit_bytes() or memory) // _MB,
        disk_mb=shutil.disk_usage(existing).free // _MB,
    )


def share_of_machine(machine: Resources, workers: int, asked: Request) -> Resources:
    """A worker's size: what was asked for, else an equal share of the machine; GPUs only where asked for."""
    share = max(1, workers)
    return Resources(
        cores=max(1.0, machine.cores // share) if asked.cores is None else asked.cores,
        memory_mb=machine.memory_mb // share if asked.memory_mb is None else asked.memory_mb,
        disk_mb=machine.disk_mb // share if asked.disk_mb is None else asked.disk_mb,
        gpus=asked.gpus or 0.0,
    )
