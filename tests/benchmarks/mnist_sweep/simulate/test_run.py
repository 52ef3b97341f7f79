"""One simulated run: the true cores on the model's cluster."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.mnist_sweep.simulate import paging, parameters, run
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy, Wanted, most_at_once, sweep, waits
from tests.benchmarks.mnist_sweep.simulate.made import PARAMETERS, small
from vine.errors import VineError

ROOT = Path(__file__).parents[4]
FS, VINE, HOT = Distribution.SHARED_FS, Distribution.VINE, Distribution.VINE_HOT


def test_eight_tasks_of_the_papers_shape_fit_a_worker_at_once() -> None:
    """2 cores, 2 GB of memory and 2 GB of disk of 16 each, the 4.4 GB that all of them share counted once."""
    papers, _ = parameters.read()
    assert (papers.task_cores, papers.task_memory_mb, papers.task_disk_mb) == (2, 2000, 2000)
    assert (papers.worker_cores, papers.worker_memory_mb, papers.worker_disk_mb) == (16, 16_000, 16_000)
    for distribution in (FS, HOT):
        found = sweep(
            Wanted(replace(papers, arrival_workers_per_s=1e9), workers=2, tasks=32, distribution=distribution)
        )
        assert found.at_once == 8
        assert len(found.times) == 32


def test_on_the_shared_filesystem_the_scheduler_costs_nothing_that_is_seen() -> None:
    """What was fitted without the scheduler holds with it."""
    fitted = paging.moments(paging.run(PARAMETERS, 4, 64).task_s)
    found = paging.moments([time.task_s for time in small(FS).times])
    for name in ("mean", "median", "std"):
        assert getattr(found, name) == pytest.approx(getattr(fitted, name), rel=0.02)


def test_a_task_time_is_the_sum_of_its_parts() -> None:
    for distribution, policy in ((FS, Policy.VINE), (VINE, Policy.VINE), (VINE, Policy.TASKVINE)):
        for time in small(distribution, policy).times:
            assert -1e-6 < time.rest_s < 0.1
            assert min(time.environment_s, time.unpacking_s, time.dataset_s, time.compute_s) >= 0
            assert (time.paging_s > 0.01) == (distribution is FS)


def test_packing_is_part_of_the_run_but_of_no_task() -> None:
    cold, hot = small(VINE), small(HOT)
    assert cold.pack_s == pytest.approx(83e6 / PARAMETERS.pack_vine_bytes_per_s) and hot.pack_s == 0
    assert small(VINE, Policy.TASKVINE).pack_s == pytest.approx(83e6 / PARAMETERS.pack_taskvine_bytes_per_s)


def test_our_policy_is_faster_where_the_data_plane_says_so() -> None:
    ours, theirs = small(HOT, workers=8), small(HOT, Policy.TASKVINE, workers=8)
    for part in ("environment_s", "unpacking_s"):
        mean, other = (statistics.fmean(getattr(time, part) for time in found.times) for found in (ours, theirs))
        assert mean < other, part
    assert ours.run_s < theirs.run_s
    assert ours.manager_copies < theirs.manager_copies


def test_whatever_distributes_their_data_tasks_of_one_wave_compute_as_long() -> None:
    """Nothing but the data makes the difference."""
    runs = [small(*way, workers=8) for way in ((FS,), (VINE,), (HOT, Policy.TASKVINE))]
    computed = [sorted(round(time.compute_s, 6) for time in found.times) for found in runs]
    assert computed[0] == computed[1] == computed[2]


def test_what_a_task_waited_for_is_told_in_order() -> None:
    assert waits(10.0, 12.0, 15.0, 14.0) == (2.0, 3.0, 0.0)
    assert waits(10.0, 5.0, 11.0, 13.0) == (0.0, 1.0, 2.0)
    assert waits(10.0, 5.0, 6.0, 7.0) == (0.0, 0.0, 0.0)


def test_a_task_that_ends_as_another_begins_is_not_counted_with_it() -> None:
    assert most_at_once({"w": [(0.0, 1.0), (1.0, 2.0), (1.5, 3.0)]}) == 2
    assert most_at_once({"w": [(0.0, 5.0)], "x": [(0.0, 1.0), (0.5, 1.5), (0.6, 0.7)]}) == 3


def test_a_run_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_GIVE_UP_S", 30.0)
    with pytest.raises(VineError, match="of 64 simulated tasks ended well"):
        sweep(Wanted(PARAMETERS, 4, 64, FS))


def digests() -> list[str]:
    """Of a run on the shared filesystem and of one by either policy."""
    return [
        sweep(Wanted(PARAMETERS, 3, 30, distribution, policy)).digest
        for distribution, policy in ((FS, Policy.VINE), (VINE, Policy.VINE), (HOT, Policy.TASKVINE))
    ]


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    here = digests()
    assert len(set(here)) == 3
    program = "from tests.benchmarks.mnist_sweep.simulate.test_run import digests; print(digests())"
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "workers", "factory"))
    for hash_seed in ("1", "77"):
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
        assert there.stdout.strip() == str(here), there.stderr


def test_another_seed_gives_another_run() -> None:
    assert sweep(Wanted(PARAMETERS, 3, 30, FS, seed=1)).digest != sweep(Wanted(PARAMETERS, 3, 30, FS)).digest
