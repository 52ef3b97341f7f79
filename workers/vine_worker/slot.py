"""What did the batch system give this job, as its variables and files say?

Slurm sets SLURM_CPUS_ON_NODE, SLURM_MEM_PER_NODE or SLURM_MEM_PER_CPU (MiB), SLURM_GPUS_ON_NODE and, since version
23.02, SLURM_JOB_END_TIME. HTCondor names two files of `Name = value` lines: _CONDOR_MACHINE_AD (Cpus; Memory in MiB;
Disk in KiB; GPUs) and _CONDOR_JOB_AD (when the job began, and how long it may last). PBS sets NCPUS, Torque
PBS_NUM_PPN and PBS_WALLTIME (seconds).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vine import config

_MIB_PER_MB = 1_000_000 / 1_048_576
_KIB_PER_MB = 1_000_000 / 1024
_AD_LINE = re.compile(r"\s*(\w+)\s*=\s*(\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Slot:
    """None is what the batch system does not say."""

    cores: float | None = None
    memory_mb: float | None = None
    disk_mb: float | None = None
    gpus: float | None = None
    ends_at_s: float | None = None  # since the epoch
    lasts_s: float | None = None  # from the job's start, which its worker is taken to be near

    def wall_time_s(self, now_s: float) -> float | None:
        """How long a worker may live that starts now: it has left when its job is ended."""
        left_s = self.lasts_s if self.ends_at_s is None else max(0.0, self.ends_at_s - now_s)
        if left_s is None:
            return None
        return left_s - min(config.wall_reserve_s, config.wall_drain_share * left_s)


def slot_of(variables: Mapping[str, str]) -> Slot:
    """The slot of this job; all None where no batch system that we know has started us."""
    for name, read in _READERS.items():
        if name in variables:
            return read(variables)
    return Slot()


def _of_slurm(variables: Mapping[str, str]) -> Slot:
    # What `srun` starts is one task of several on the node; a batch script has all that the job has there.
    cores = _number(variables, "SLURM_CPUS_PER_TASK" if "SLURM_STEP_ID" in variables else "SLURM_CPUS_ON_NODE")
    memory_mib = _number(variables, "SLURM_MEM_PER_NODE")
    a_core_mib = _number(variables, "SLURM_MEM_PER_CPU")
    if memory_mib is None and a_core_mib is not None and cores is not None:
        memory_mib = a_core_mib * cores
    return Slot(
        cores=cores,
        memory_mb=memory_mib / _MIB_PER_MB if memory_mib else None,  # 0 is all that the node has.
        gpus=_number(variables, "SLURM_GPUS_ON_NODE"),
        ends_at_s=_number(variables, "SLURM_JOB_END_TIME"),
    )


def _of_condor(variables: Mapping[str, str]) -> Slot:
    machine, job = _ad(variables.get("_CONDOR_MACHINE_AD")), _ad(variables.get("_CONDOR_JOB_AD"))
    memory_mib, disk_kib = machine.get("memory"), machine.get("disk")
    began_s = job.get("jobcurrentstartdate")
    limits_s = [job[name] for name in ("allowedjobduration", "allowedexecuteduration") if name in job]
    return Slot(
        cores=machine.get("cpus"),
        memory_mb=None if memory_mib is None else memory_mib / _MIB_PER_MB,
        disk_mb=None if disk_kib is None else disk_kib / _KIB_PER_MB,
        gpus=machine.get("gpus"),
        ends_at_s=began_s + min(limits_s) if began_s is not None and limits_s else None,
    )


def _of_pbs(variables: Mapping[str, str]) -> Slot:
    cores = _number(variables, "NCPUS")
    return Slot(
        cores=_number(variables, "PBS_NUM_PPN") if cores is None else cores,
        lasts_s=_number(variables, "PBS_WALLTIME"),
    )


_READERS: dict[str, Callable[[Mapping[str, str]], Slot]] = {
    "SLURM_JOB_ID": _of_slurm,
    "_CONDOR_MACHINE_AD": _of_condor,
    "PBS_JOBID": _of_pbs,
}


def _number(variables: Mapping[str, str], name: str) -> float | None:
    text = variables.get(name, "")
    return float(text) if text.isdigit() else None


def _ad(path: str | None) -> dict[str, float]:
    """The numbers of an ad, by their names in small letters, as HTCondor takes them."""
    try:
        text = "" if path is None else Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}  # Not where the job runs.
    return {found[1].lower(): float(found[2]) for line in text.splitlines() if (found := _AD_LINE.fullmatch(line))}
