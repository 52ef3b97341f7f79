"""How are workers run on this machine: as child processes, none of which outlives us or our client."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vine import config
from vine.names import WorkerId
from vine.wire.parts import Request, Resources
from vine_factory.launchers.interface import Ended, LaunchFailed

_MB = 1_000_000
_LAST_WORDS_BYTES = 4096  # Of a log's end: enough to hold the line that says what went wrong.


@dataclass(slots=True)
class _Job:
    process: subprocess.Popen[bytes]
    log: Path
    devices: tuple[str, ...] = ()  # the GPUs that only this worker may use
    kill_at: float | None = None  # Set when it has been asked to end.


class LocalLauncher:
    """Each worker is a child process that logs to `log_dir`/NAME.log.

    Workers watch a pipe that nobody writes to, and end at its end: the client's, where we have
    inherited one, so that they end with the client even if we could not tell them; else our own.
    """

    def __init__(self, log_dir: Path, parent_fd: int | None, gpus: float = 0.0) -> None:
        """`gpus` is how many each worker has: no two of them have the same."""
        self._log_dir = log_dir
        self._gpus = math.ceil(gpus)
        self._jobs: dict[WorkerId, _Job] = {}
        self._own_pipe = os.pipe() if parent_fd is None else None
        self._watched_fd = self._own_pipe[0] if self._own_pipe else parent_fd

    def submit(self, worker_id: WorkerId, command: Sequence[str]) -> None:
        assert worker_id not in self._jobs, "a worker's name was used twice"
        log = self._log_dir / f"{worker_id}.log"
        devices = self._free_devices(worker_id)
        try:
            self._log_dir.mkdir(parents=True, exist_ok=True)
            with open(log, "ab") as output:
                process = self._start([*command, "--parent-fd", str(self._watched_fd)], output.fileno(), devices)
        except OSError as error:
            raise LaunchFailed(f"cannot start worker {worker_id} with its log at {log}: {error}") from error
        self._jobs[worker_id] = _Job(process, log, devices)

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

    def query(self, now: float) -> list[Ended]:
        ended = []
        for worker_id, job in list(self._jobs.items()):
            if job.process.poll() is not None:
                ended.append(Ended(worker_id, f"worker {worker_id} {_how_it_ended(job)}"))
                del self._jobs[worker_id]
            elif job.kill_at is not None and now >= job.kill_at:
                job.process.kill()  # Alone: its own helper sees that it is gone, and ends what it ran.
        return ended

    def cancel(self, worker_id: WorkerId, now: float) -> None:
        job = self._jobs.get(worker_id)
        if job is not None and job.kill_at is None:
            job.process.terminate()
            job.kill_at = now + config.worker_stop_grace_s

    def close(self) -> None:
        now = time.monotonic()
        for worker_id in self._jobs:
            self.cancel(worker_id, now)
        for job in self._jobs.values():
            assert job.kill_at is not None, "it was asked to end just now"
            try:
                job.process.wait(max(0.0, job.kill_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()
        self._jobs.clear()
        for descriptor in self._own_pipe or ():
            os.close(descriptor)
        self._own_pipe = None

    def _start(self, command: Sequence[str], output_fd: int, devices: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        assert self._watched_fd is not None, "there is always a pipe to watch"
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output_fd,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else None,
            pass_fds=(self._watched_fd,),
            start_new_session=True,  # Ctrl-C in our terminal is for us, and we end them in order.
        )


def _how_it_ended(job: _Job) -> str:
    """The exit code or signal, and the last line that the worker wrote: its errors are one line."""
    code = job.process.returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last_line = _last_line(job.log)
    return f"{how}: {last_line} (log: {job.log})" if last_line else f"{how} (log: {job.log})"


def _last_line(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_WORDS_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""  # Whoever removed it has their reasons; the exit code tells enough.
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def measure_machine(workspace: Path) -> Resources:
    """What this machine has for workers whose workspaces lie at or below this path."""
    existing = next(folder for folder in (workspace, *workspace.absolute().parents) if folder.exists())
    return Resources(
        cores=len(os.sched_getaffinity(0)),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MB,
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
