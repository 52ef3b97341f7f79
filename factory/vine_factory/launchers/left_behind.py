"""Which workers has a killed factory left on this machine: each process is noted, and known by when it began."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Annotated

import msgspec
import psutil

from vine.host import boot_id
from vine.names import WorkerId
from vine.wire.codec import UNDECODABLE
from vine_factory.launchers import commands
from vine_factory.script import WorkerPlan

_BEGAN_WITHIN_S = 2.0  # psutil adds a boot time in whole seconds, which a clock that is set right shifts.


class Note(msgspec.Struct, frozen=True):
    pid: Annotated[int, msgspec.Meta(gt=1, lt=1 << 31)]
    began_s: float
    boot_id: str
    devices: tuple[str, ...]  # the GPUs that only this worker may use


class LeftBehind:
    """A process that is no child of ours, with what is used of `subprocess.Popen`."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.returncode: int | None = None  # Nobody but its parent is told: it stays so.

    @property
    def pid(self) -> int:
        pid: int = self._process.pid
        return pid

    def poll(self) -> int | None:
        """0 when it has ended, however it did."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
                return None
        return 0

    def wait(self) -> int | None:
        self._process.wait()
        return None

    def terminate(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.terminate()

    def kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.kill()


class Notes:
    """What a factory writes down of its workers' processes, for the next one of its name."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._folder = plan.scratch
        self._prefix = f"vine.{plan.run_id}."
        self._ours = re.compile(rf"{re.escape(self._prefix)}({re.escape(plan.factory)}-\d+-\d+)\.process")

    def write(self, worker_id: WorkerId, pid: int, devices: tuple[str, ...]) -> None:
        """LaunchFailed where that cannot be."""
        try:
            began_s = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return  # It has ended already.
        note = Note(pid, began_s, boot_id(), devices)
        commands.write(self._path(worker_id), msgspec.json.encode(note).decode())

    def remove(self, worker_id: WorkerId) -> None:
        self._path(worker_id).unlink(missing_ok=True)

    def left_behind(self) -> dict[WorkerId, tuple[LeftBehind, tuple[str, ...]]]:
        """Those that live still, with their devices; the notes of others are removed."""
        found = {}
        for path in sorted(self._folder.glob(f"{self._prefix}*.process")):
            if (named := self._ours.fullmatch(path.name)) is None:
                continue
            worker_id = WorkerId(named[1])
            try:
                note = msgspec.json.decode(path.read_bytes(), type=Note)
                process = psutil.Process(note.pid)
                lives = note.boot_id == boot_id() and abs(process.create_time() - note.began_s) < _BEGAN_WITHIN_S
            except (psutil.NoSuchProcess, *UNDECODABLE, OSError):
                lives = False
            if lives:
                found[worker_id] = (LeftBehind(process), note.devices)
            else:
                self.remove(worker_id)
        return found

    def _path(self, worker_id: WorkerId) -> Path:
        return self._folder / f"{self._prefix}{worker_id}.process"
