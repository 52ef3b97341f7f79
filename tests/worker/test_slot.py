"""Does a worker know what its batch system gave it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from vine_worker.slot import Slot, slot_of

MIB = 1.048576
SLURM = {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "8", "SLURM_MEM_PER_NODE": "2000"}


def test_a_batch_script_of_slurm_has_all_of_the_job_on_its_node() -> None:
    slot = slot_of({**SLURM, "SLURM_CPUS_PER_TASK": "2", "SLURM_GPUS_ON_NODE": "2", "SLURM_JOB_END_TIME": "1700"})
    assert slot == Slot(cores=8, memory_mb=pytest.approx(2000 * MIB), gpus=2, ends_at_s=1700)


def test_what_srun_starts_has_one_tasks_share() -> None:
    variables = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_CPUS_ON_NODE": "8", "SLURM_MEM_PER_CPU": "100"}
    assert slot_of({**variables, "SLURM_CPUS_PER_TASK": "2"}).memory_mb == pytest.approx(200 * MIB)
    assert slot_of(variables) == Slot()  # How many others share the job here, nobody says: it is measured.


def test_a_job_that_may_have_the_whole_node_is_measured() -> None:
    assert slot_of({**SLURM, "SLURM_MEM_PER_NODE": "0"}).memory_mb is None


def test_condor_says_it_in_files(tmp_path: Path) -> None:
    machine, job = tmp_path / ".machine.ad", tmp_path / ".job.ad"
    machine.write_text('Cpus = 4\nMemory = 2048\nDisk = 1000000\nGPUs = 1\nName = "slot1@node"\nRank = 0.0\n')
    job.write_text("JobCurrentStartDate = 1000\nAllowedJobDuration = 3600\nAllowedExecuteDuration = 600\n")
    slot = slot_of({"_CONDOR_MACHINE_AD": str(machine), "_CONDOR_JOB_AD": str(job)})
    assert slot == Slot(
        cores=4, memory_mb=pytest.approx(2048 * MIB), disk_mb=pytest.approx(1024), gpus=1, ends_at_s=1600
    )
    assert slot_of({"_CONDOR_MACHINE_AD": str(tmp_path / "gone")}) == Slot()


@pytest.mark.parametrize(
    ("variables", "cores", "lasts_s"),
    [({"NCPUS": "6"}, 6, None), ({"PBS_NUM_PPN": "3", "PBS_WALLTIME": "900"}, 3, 900), ({}, None, None)],
)
def test_pbs_says_its_cores_and_torque_its_wall_time(
    variables: dict[str, str], cores: float | None, lasts_s: float | None
) -> None:
    assert slot_of({"PBS_JOBID": "7.server", **variables}) == Slot(cores=cores, lasts_s=lasts_s)


def test_elsewhere_there_is_no_slot() -> None:
    assert slot_of({"NCPUS": "6", "HOME": "/"}) == Slot()


def test_a_worker_has_left_when_its_job_is_ended() -> None:
    assert Slot(ends_at_s=4600.0).wall_time_s(1000.0) == 3570
    assert Slot(ends_at_s=1100.0).wall_time_s(1000.0) == 90
    assert Slot(ends_at_s=900.0).wall_time_s(1000.0) == 0
    assert Slot(lasts_s=100.0).wall_time_s(1000.0) == 90
    assert Slot().wall_time_s(1000.0) is None
