"""Does HTCondor's own parser read our submit files as they are meant, and do we read its answers?"""

from __future__ import annotations

from pathlib import Path

import htcondor2
import pytest

from tests.factory.launchers.conftest import Commands
from tests.factory.made import names, plan_in
from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers.htcondor import HTCondorLauncher
from vine_factory.launchers.interface import LaunchFailed


def submit_file(folder: Path, **options: object) -> str:
    launcher = HTCondorLauncher(plan_in(folder, batch_type="htcondor", **options))
    return Path(launcher.prepare(names(3, 4, 5))[-1]).read_text()


def test_a_submit_file_asks_for_as_many_workers_of_that_size(tmp_path: Path) -> None:
    submit = htcondor2.Submit(submit_file(tmp_path, cores=2.5, memory=1000, disk=2000, gpus=1))
    assert submit.getQArgs() == "3"
    asked = {name: submit.expand(f"request_{name}") for name in ("cpus", "memory", "disk", "gpus")}
    assert asked == {"cpus": "3", "memory": "954MB", "disk": "1908MB", "gpus": "1"}
    assert submit.expand("batch_name") == "vine.run.local.3"


def test_the_script_runs_with_its_number_and_logs_to_its_own_file(tmp_path: Path) -> None:
    submit = htcondor2.Submit(submit_file(tmp_path))
    assert submit["arguments"] == "$(Process)"
    assert Path(submit["executable"]).read_text().startswith("#!/bin/bash")
    assert submit["output"] == submit["error"] == f"{tmp_path}/scratch/vine.run.local.3+$(Process).log"


def test_keys_and_an_archived_environment_go_with_the_job(tmp_path: Path) -> None:
    submit = htcondor2.Submit(submit_file(tmp_path, worker_environment=f"{tmp_path}/env.tar.zst"))
    assert submit["transfer_input_files"] == f"{tmp_path}/connection.json,{tmp_path}/env.tar.zst"
    assert submit["should_transfer_files"] == "YES"


def test_what_nodes_see_anyway_is_not_sent(tmp_path: Path) -> None:
    submit = htcondor2.Submit(submit_file(tmp_path, worker_environment="/opt/environment"))
    assert submit["transfer_input_files"] == f"{tmp_path}/connection.json"
    assert "request_gpus" not in submit and "requirements" not in submit


def test_requirements_and_the_users_own_lines_are_there(tmp_path: Path) -> None:
    submit = htcondor2.Submit(
        submit_file(
            tmp_path, requirements='(OpSysMajorVer == 9) && (Machine != "bad")', batch_option=['+Project = "x"']
        )
    )
    assert submit["requirements"] == '(OpSysMajorVer == 9) && (Machine != "bad")'
    assert submit["MY.Project"] == '"x"'


def test_a_job_lasts_no_longer_than_its_wall_time(tmp_path: Path) -> None:
    assert htcondor2.Submit(submit_file(tmp_path, wall_time=3600.5)).expand("allowed_job_duration") == "3601"
    assert "allowed_job_duration" not in htcondor2.Submit(submit_file(tmp_path))


def test_a_folder_whose_name_looks_like_a_macro_is_meant_as_it_is(tmp_path: Path) -> None:
    (folder := tmp_path / "$(HOME) of mine").mkdir()
    submit = htcondor2.Submit(submit_file(folder))
    assert submit.expand("executable").startswith(f"{folder}/scratch/vine.")
    assert submit.expand("transfer_input_files") == f"{folder}/connection.json"
    assert submit.expand("log") == f"{folder}/scratch/vine.run.local.3.events"


def test_a_comma_in_the_name_of_what_is_transferred_is_told(tmp_path: Path) -> None:
    (folder := tmp_path / "a,b").mkdir()
    with pytest.raises(LaunchFailed, match="for a comma in its name: move the run"):
        submit_file(folder)


def test_jobs_are_known_by_their_names_and_states(tmp_path: Path, asked: Commands) -> None:
    launcher = HTCondorLauncher(plan_in(tmp_path, batch_type="htcondor"))
    asked.answers["condor_q"] = "".join(
        f"12\t{process}\t{status}\tvine.run.local-1.1\n" for process, status in enumerate("1234567")
    ) + "13\t0\t2\tundefined\n"  # fmt: skip
    states = launcher.query()
    assert states == {
        WorkerId("local-1-1"): JobState.PENDING,
        WorkerId("local-1-2"): JobState.RUNNING,
        WorkerId("local-1-5"): JobState.HELD,
        WorkerId("local-1-6"): JobState.RUNNING,
        WorkerId("local-1-7"): JobState.RUNNING,
    }
    launcher.cancel([WorkerId("local-1-2"), WorkerId("local-1-5"), WorkerId("unknown")])
    assert asked.asked[-1] == ["condor_rm", "12.1", "12.4"]


def test_what_was_just_submitted_can_be_cancelled(tmp_path: Path, asked: Commands) -> None:
    launcher = HTCondorLauncher(plan_in(tmp_path, batch_type="htcondor"))
    asked.answers["condor_submit"] = "77.0 - 77.1\n"
    two = [WorkerId("local-1-1"), WorkerId("local-1-2")]
    launcher.submit(two)
    launcher.cancel(two[1:])
    assert asked.asked[-1] == ["condor_rm", "77.1"]


def test_an_answer_that_is_no_cluster_is_a_launch_that_failed(tmp_path: Path, asked: Commands) -> None:
    asked.answers["condor_submit"] = "Submitting job(s)\n"
    with pytest.raises(LaunchFailed, match=r"which is no job: look at the queue"):
        HTCondorLauncher(plan_in(tmp_path, batch_type="htcondor")).submit(names(1))
