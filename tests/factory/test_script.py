"""Does the helper script start what it should, where it should, and can bash run it by hand?"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factory.made import names, packed, plan_in
from vine.names import RunId, WorkerId
from vine_factory.script import Batch, WorkerPlan, helper_script, job_name, worker_named, worker_wall_time_s

SAY = "import os, sys; print(os.environ.get('SAID', ''), os.environ.get('PYTHONPATH', ''), *sys.argv[1:], sep='|')"
BATCH = Batch("local-3", 7, 4)


def run(plan: WorkerPlan, *arguments: str, index: str = "0", **variables: str) -> str:
    script = plan.connection.parent / "helper.sh"
    script.write_text(helper_script(plan, BATCH, index=index))
    ended = subprocess.run(
        ["bash", str(script), *arguments], capture_output=True, text=True, env={**os.environ, **variables}
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def said_by(folder: Path, *arguments: str, **options: Any) -> str:
    return run(plan_in(folder, SAY, **options), *arguments)


def test_by_hand_the_index_tells_which_worker_it_is(tmp_path: Path) -> None:
    assert "--worker-id|local-3-7|" in said_by(tmp_path)
    assert "--worker-id|local-3-9|" in said_by(tmp_path, "2")


def test_in_a_job_the_batch_system_tells_it(tmp_path: Path) -> None:
    index = "${SLURM_ARRAY_TASK_ID:-0}"
    assert "--worker-id|local-3-8|" in run(plan_in(tmp_path, SAY), index=index, SLURM_ARRAY_TASK_ID="1")


def test_what_else_is_given_goes_to_the_worker(tmp_path: Path) -> None:
    assert said_by(tmp_path, "0", "--parent-fd", "5").endswith("|--parent-fd|5")


def test_the_worker_is_told_its_size_and_features_and_where_the_keys_are(tmp_path: Path) -> None:
    said = said_by(tmp_path, cores=1.5, memory=2000, disk=30.5, gpus=2, feature=["a100", "x y"])
    assert f"--connection|{tmp_path}/connection.json|" in said
    assert "|--cores|1.5|--memory|2000|--disk|30.5|--gpus|2|--feature|a100|--feature|x y" in said


def test_keys_that_the_batch_system_brought_are_found_and_closed_to_others(tmp_path: Path) -> None:
    plan = replace(plan_in(tmp_path, SAY), connection=Path("/elsewhere/connection.json"))
    brought = tmp_path / "connection.json"
    brought.chmod(0o644)
    script = tmp_path / "helper.sh"
    script.write_text(helper_script(plan, BATCH))
    ended = subprocess.run(["bash", str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert "|--connection|connection.json|" in ended.stdout
    assert brought.stat().st_mode & 0o777 == 0o600


def test_the_workspace_is_the_nodes_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, SAY, workspace='$NODE_DISK/a b/"`false`$(false)')
    assert '|--workspace|/scratch/a b/"`false`$(false)' in run(plan, NODE_DISK="/scratch")


def test_a_workspace_is_the_same_folder_wherever_the_job_starts(tmp_path: Path) -> None:
    assert f"|--workspace|{Path('here').absolute()}" in said_by(tmp_path, workspace="here")


def test_setup_and_modules_come_before_the_worker(tmp_path: Path) -> None:
    setup = ['module() { SAID="$SAID$2"; export SAID; }']
    text = helper_script(plan_in(tmp_path, SAY, setup=setup, module=["gcc/12", "cuda"]), BATCH)
    assert text.index("module load gcc/12") < text.index("module load cuda") < text.index(setup[0])
    assert said_by(tmp_path, setup=["export SAID=done"]).startswith("done|")


def test_a_profile_that_fails_on_its_way_to_the_modules_ends_no_job(tmp_path: Path) -> None:
    text = helper_script(plan_in(tmp_path, SAY, module=["gcc/12"]), BATCH)
    profile = tmp_path / "profile"
    profile.write_text("false\nmodule() { export SAID=$2; }\n")
    (script := tmp_path / "helper.sh").write_text(text.replace("/etc/profile", str(profile)))
    ended = subprocess.run(["bash", str(script)], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert ended.stdout.startswith("gcc/12|"), ended.stderr


def test_what_the_setup_adds_to_the_path_of_modules_stays(tmp_path: Path) -> None:
    plan = replace(plan_in(tmp_path, SAY, setup=["PYTHONPATH=/theirs:$PYTHONPATH"]), python_path="/ours")
    assert run(plan).startswith("|/theirs:/ours|")


def test_a_setup_that_fails_ends_the_job(tmp_path: Path) -> None:
    script = tmp_path / "helper.sh"
    script.write_text(helper_script(plan_in(tmp_path, SAY, setup=["false"]), BATCH))
    assert subprocess.run(["bash", str(script)], capture_output=True).returncode != 0


def test_the_users_modules_are_found_by_workers(tmp_path: Path) -> None:
    plan = replace(plan_in(tmp_path, SAY), python_path="/home of/modules:/more")
    assert run(plan).startswith("|/home of/modules:/more|")


def test_a_worker_has_left_before_its_job_ends(tmp_path: Path) -> None:
    assert worker_wall_time_s(3600) == 3570
    assert worker_wall_time_s(60) == 54
    said = said_by(tmp_path, wall_time=3600)
    assert 3560 <= int(said.split("--wall-time|")[1].split("|")[0]) <= 3570


def test_a_worker_may_run_from_an_environment_that_nodes_see(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").write_text("#!/bin/sh\necho theirs\n")
    (environment / "bin" / "python").chmod(0o755)
    assert said_by(tmp_path, worker_environment=str(environment)) == "theirs"


def test_an_archive_is_unpacked_for_the_worker_and_gone_after_it(tmp_path: Path) -> None:
    archive = packed(tmp_path, 'echo "$0" "$1"')
    (tmp_path / "node").mkdir()
    plan = plan_in(tmp_path, worker_environment=str(archive))
    unpacked, started = run(plan, TMPDIR=str(tmp_path / "node")).splitlines()
    assert unpacked.endswith("/bin/conda-unpack") and started.endswith("/bin/python -m")
    assert started.startswith(str(tmp_path / "node"))
    assert list((tmp_path / "node").iterdir()) == []


def test_what_was_unpacked_of_a_broken_archive_does_not_stay(tmp_path: Path) -> None:
    archive = packed(tmp_path, "")
    archive.write_bytes(archive.read_bytes()[:-20])
    (node := tmp_path / "node").mkdir()
    script = tmp_path / "helper.sh"
    script.write_text(helper_script(plan_in(tmp_path, worker_environment=str(archive)), BATCH))
    ended = subprocess.run(["bash", str(script)], env={**os.environ, "TMPDIR": str(node)}, capture_output=True)
    assert ended.returncode != 0 and list(node.iterdir()) == []


def test_the_end_of_a_job_reaches_a_worker_in_an_unpacked_environment(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    archive = packed(
        tmp_path,
        f"case $1 in -m) trap 'echo ended; exit 3' TERM; echo up > {fifo}; while :; do sleep 0.01; done;; esac",
    )
    script = tmp_path / "helper.sh"
    script.write_text(helper_script(plan_in(tmp_path, worker_environment=str(archive)), BATCH))
    with subprocess.Popen(["bash", str(script)], stdout=subprocess.PIPE, text=True) as job:
        assert fifo.read_text() == "up\n"
        job.terminate()
        assert job.communicate()[0] == "ended\n"
    assert job.returncode == 3


def test_a_job_is_known_by_its_name_and_number_whichever_factory_of_that_name_made_it(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    assert job_name(plan, BATCH) == "vine.run.local-3.7"
    assert worker_named(plan, "vine.run.local-3.7", 2) == WorkerId("local-3-9")
    for other in ("vine.run.local-1-3.7", "vine.other.local-3.7", "vine.run.mine-3.7", "fnord"):
        assert worker_named(plan, other, 2) is None
    assert worker_named(replace(plan, run_id=RunId("a.b+c")), "vine.a.b+c.local-3.7", 0) == WorkerId("local-3-7")


def test_a_batch_is_of_consecutive_names() -> None:
    assert Batch.of(names(4, 5, 6)) == Batch("local", 4, 3)
    with pytest.raises(AssertionError):
        Batch.of(names(4, 6))
