"""Which launcher does a factory use, for workers of which size, from which software?"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from vine import config
from vine.factory_options import FactoryOptions
from vine.wire.keys import FILE_NAMES, Connection
from vine.wire.parts import Request, Resources, Role
from vine_factory.launchers.htcondor import HTCondorLauncher
from vine_factory.launchers.interface import Launcher
from vine_factory.launchers.local import LocalLauncher, measure_machine, share_of_machine
from vine_factory.launchers.slurm import SlurmLauncher
from vine_factory.script import WorkerPlan


def size_of_workers(options: FactoryOptions) -> Resources:
    """What each worker has: what was asked for, else a share of this machine, or what most nodes have for a core."""
    asked = Request(options.cores, options.memory, options.disk, options.gpus)
    if options.batch_type == "local":
        machine = measure_machine(Path(os.path.expandvars(options.workspace or tempfile.gettempdir())))
        return share_of_machine(machine, options.most_workers, asked)
    cores = 1.0 if asked.cores is None else asked.cores
    return Resources(
        cores=cores,
        memory_mb=config.batch_memory_mb * max(1.0, cores) if asked.memory_mb is None else asked.memory_mb,
        disk_mb=config.batch_disk_mb * max(1.0, cores) if asked.disk_mb is None else asked.disk_mb,
        gpus=asked.gpus or 0.0,
    )


def plan_for(options: FactoryOptions, connection: Connection, name: str, scratch: Path) -> WorkerPlan:
    return WorkerPlan(
        run_id=connection.run_id,
        factory=name,
        connection=connection.run_dir / FILE_NAMES[Role.WORKER],  # No other keys go to the nodes.
        size=size_of_workers(options),
        options=options,
        scratch=scratch if options.scratch_dir is None else Path(options.scratch_dir).absolute(),
        python=options.python or sys.executable,
        python_path=os.environ.get("PYTHONPATH", ""),
    )


def launcher_for(plan: WorkerPlan, run_dir: Path, parent_fd: int | None) -> Launcher:
    batch_type = plan.options.batch_type
    if batch_type == "slurm":
        return SlurmLauncher(plan)
    if batch_type == "htcondor":
        return HTCondorLauncher(plan)
    # The same files as the workers' own logs: whatever went wrong stands in one place.
    return LocalLauncher(plan, run_dir / "logs", parent_fd)
