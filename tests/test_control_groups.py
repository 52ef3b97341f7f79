"""Are the limits of control groups seen, of either version and wherever they are set?"""

from __future__ import annotations

from pathlib import Path

import pytest

from vine.control_groups import core_limit, memory_limit_bytes


def groups(folder: Path, own: str, **files: str) -> tuple[Path, Path]:
    (folder / "own").write_text(own)
    for name, text in files.items():
        path = folder / "mounts" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder / "own", folder / "mounts"


def test_of_version_2_the_tightest_of_all_groups_around_counts(tmp_path: Path) -> None:
    where = groups(
        tmp_path, "0::/system/job_7/step\n",
        system__job_7__step__memory_DOT_max="max", system__job_7__memory_DOT_max="3000000", memory_DOT_max="9000000",
        system__job_7__step__cpu_DOT_max="max 100000", system__job_7__cpu_DOT_max="250000 100000",
    )  # fmt: skip
    assert memory_limit_bytes(*where) == 3_000_000
    assert core_limit(*where) == 2.5


def test_of_version_1_each_controller_has_its_own_folder(tmp_path: Path) -> None:
    where = groups(
        tmp_path, "4:memory:/slurm/job_7\n3:cpu,cpuacct:/slurm\n1:pids:/\n",
        memory__slurm__job_7__memory_DOT_limit_in_bytes="5000", memory__memory_DOT_limit_in_bytes="9223372036854771712",
        cpu__slurm__cpu_DOT_cfs_quota_us="150000", cpu__slurm__cpu_DOT_cfs_period_us="100000",
    )  # fmt: skip
    assert memory_limit_bytes(*where) == 5000
    assert core_limit(*where) == 1.5


def test_a_group_that_cannot_be_seen_from_a_container_leaves_what_can(tmp_path: Path) -> None:
    where = groups(tmp_path, "0::/../outside\n4:memory:/hidden/job\n", memory__memory_DOT_limit_in_bytes="7000")
    assert memory_limit_bytes(*where) == 7000


@pytest.mark.parametrize("own", ["", "0::/\n", "4:memory:/x\n3:cpu:/x\n"])
def test_without_limits_there_are_none(tmp_path: Path, own: str) -> None:
    where = groups(tmp_path, own, cpu__x__cpu_DOT_cfs_quota_us="-1", cpu__x__cpu_DOT_cfs_period_us="100000")
    assert (memory_limit_bytes(*where), core_limit(*where)) == (None, None)


def test_a_machine_without_control_groups_has_none(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path / "nothing", tmp_path) is None
