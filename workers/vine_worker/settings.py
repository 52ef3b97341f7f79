"""What was a worker told to be, and what does it have for tasks?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vine.names import WorkerId
from vine.wire.parts import Resources
from vine_worker import machine
from vine_worker.places import nearest_folder
from vine_worker.slot import Slot


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line said, or the batch system; None is measured."""

    connection: Path
    worker_id: WorkerId
    workspace: Path
    cores: float | None = None
    memory_mb: float | None = None
    disk_mb: float | None = None
    gpus: float | None = None
    features: tuple[str, ...] = ()
    host_name: str | None = None
    address: str | None = None
    idle_timeout_s: float | None = None
    wall_time_s: float | None = None
    parent_fd: int | None = None
    protect: str = "auto"

    def capacity(self) -> Resources:
        """What tasks may have here, now that it is measured."""
        return Resources(
            cores=machine.cores() if self.cores is None else self.cores,
            memory_mb=machine.memory_mb() if self.memory_mb is None else self.memory_mb,
            disk_mb=machine.disk_mb(nearest_folder(self.workspace)) if self.disk_mb is None else self.disk_mb,
            gpus=machine.gpus() if self.gpus is None else self.gpus,
        )

    def within(self, slot: Slot, now_s: float) -> Settings:
        """What was left out is as the batch system says; `now_s` is since the epoch."""
        return replace(
            self,
            cores=slot.cores if self.cores is None else self.cores,
            memory_mb=slot.memory_mb if self.memory_mb is None else self.memory_mb,
            disk_mb=slot.disk_mb if self.disk_mb is None else self.disk_mb,
            gpus=slot.gpus if self.gpus is None else self.gpus,
            wall_time_s=slot.wall_time_s(now_s) if self.wall_time_s is None else self.wall_time_s,
        )

    def offers(self, gpus: float) -> tuple[str, ...]:
        """What tasks may ask for by name: what was said, and the model of the GPUs, if there are any."""
        model = machine.gpu_model() if gpus else None
        return self.features if model is None or model in self.features else (*self.features, model)
