"""What is Slurm asked, and what is made of its answers? (tests/slurm asks a real one.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factory.launchers.conftest import Commands
from tests.factory.made import names, plan_in
from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.slurm import SlurmLauncher

TWO = [WorkerId("local-1-1"), WorkerId("local-1-2")]


def directives(folder: Path, **options: object) -> list[str]:
    launcher = SlurmLauncher(plan_in(folder, batch_type="slurm", **options))
    script = Path(launcher.prepare(names(3, 4, 5))[-1])
    return [line.split(" ", 1)[1] for line in script.read_text().splitlines() if line.startswith("#SBATCH ")]


def test_workers_are_one_array_with_their_size_and_what_the_user_adds(tmp_path: Path) -> None:
    said = directives(
        tmp_path, cores=2.5, memory=1000, gpus=2, wall_time=3601, batch_option=["--partition=gpu", "--account=me"]
    )
    assert {"--cpus-per-task=3", "--mem=954M", "--gres=gpu:2", "--time=61"} <= set(said)
    assert said[-2:] == ["--partition=gpu", "--account=me"]


def test_nothing_that_a_user_adds_changes_by_what_a_job_is_known_again(tmp_path: Path) -> None:
    # given options that Slurm would take from the script, and a folder whose name a script's line would break
    (folder := tmp_path / "100% mine").mkdir()
    plan = plan_in(folder, batch_type="slurm", batch_option=["--job-name=mine", "--array=1-9"])
    # then ours are on the command line, which goes before the script's lines and variables, and after theirs
    *said, script = SlurmLauncher(plan).prepare(names(3, 4, 5))
    assert said[2:4] == ["--job-name=mine", "--array=1-9"]
    assert said[4:7] == [
        "--job-name=vine.run.local.3",
        "--array=0-2",
        f"--output={str(plan.scratch).replace('%', '%%')}/%x+%a.log",
    ]
    assert "--job-name=vine" not in Path(script).read_text()


def test_an_option_that_cannot_be_read_is_a_launch_that_failed(tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match="is none of sbatch: No closing quotation"):
        directives(tmp_path, batch_option=["--comment='mine"])


def test_what_was_not_asked_for_is_left_to_the_cluster(tmp_path: Path) -> None:
    said = " ".join(directives(tmp_path))
    assert "--gres" not in said and "--time" not in said


def test_jobs_are_known_by_their_names_and_states(tmp_path: Path, asked: Commands) -> None:
    launcher = SlurmLauncher(plan_in(tmp_path, batch_type="slurm"))
    asked.answers["squeue"] = (
        "CLUSTER: mine\n12|0|R|None|vine.run.local-1.1\n12|1|PD|Resources|vine.run.local-1.1\n"
        " 13|N/A|R|None|interactive\n"
        "14|0|R|None|vine.other.local-1.1\n15|2|CG|None|vine.run.local-2.7\n16|0|SE|None|vine.run.local-2.20\n"
    )
    assert launcher.query() == {
        WorkerId("local-1-1"): JobState.RUNNING,
        WorkerId("local-1-2"): JobState.PENDING,
        WorkerId("local-2-9"): JobState.RUNNING,
        WorkerId("local-2-20"): JobState.HELD,
    }
    launcher.cancel([WorkerId("local-1-2"), WorkerId("local-2-9"), WorkerId("unknown")])
    assert asked.asked[-1] == ["scancel", "--quiet", "12_1", "15_2"]


@pytest.mark.parametrize("reason", ["JobHeldUser", "JobHeldAdmin", "launch failed requeued held", "BadConstraints"])
def test_a_job_that_waits_for_a_person_is_held(tmp_path: Path, asked: Commands, reason: str) -> None:
    launcher = SlurmLauncher(plan_in(tmp_path, batch_type="slurm"))
    asked.answers["squeue"] = f"12|0|PD|{reason}|vine.run.local-1.1\n"
    assert launcher.query() == {WorkerId("local-1-1"): JobState.HELD}


def test_what_was_just_submitted_can_be_cancelled(tmp_path: Path, asked: Commands) -> None:
    launcher = SlurmLauncher(plan_in(tmp_path, batch_type="slurm"))
    asked.answers["sbatch"] = "77;cluster\n"
    launcher.submit(TWO)
    launcher.cancel(TWO[1:])
    assert asked.asked[-1] == ["scancel", "--quiet", "77_1"]


def test_an_answer_that_is_no_job_is_a_launch_that_failed(tmp_path: Path, asked: Commands) -> None:
    asked.answers["sbatch"] = "queued, maybe\n"
    with pytest.raises(LaunchFailed, match="sbatch said 'queued, maybe', which is no job"):
        SlurmLauncher(plan_in(tmp_path, batch_type="slurm")).submit(names(1))


def test_the_last_words_of_a_worker_are_those_of_its_log(tmp_path: Path, asked: Commands) -> None:
    plan = plan_in(tmp_path, batch_type="slurm")
    launcher = SlurmLauncher(plan)
    asked.answers["sbatch"] = "5\n"
    launcher.submit(TWO)
    (plan.scratch / "vine.run.local-1.1+1.log").write_text("vine-worker: no such key\n")
    assert "its job has ended: vine-worker: no such key (log: " in launcher.last_words(TWO[1])
    assert "log, if it began: " in launcher.last_words(TWO[0])
    assert launcher.last_words(WorkerId("unknown")) == "its job has ended"
