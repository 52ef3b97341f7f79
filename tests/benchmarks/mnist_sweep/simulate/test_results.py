"""What all runs come to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.mnist_sweep.simulate import paper, results
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy
from tests.benchmarks.mnist_sweep.simulate.made import small, small_results

FS, VINE = Distribution.SHARED_FS, Distribution.VINE


def test_speedups_are_of_shared_fs_over_the_policy() -> None:
    found = small_results()
    assert found.run_speedup(4, Policy.VINE) == pytest.approx(small(FS).run_s / small(VINE).run_s)
    means = [found.moments(4, way) for way in (FS, VINE)]
    assert means[0] is not None and means[1] is not None
    assert found.task_speedup(4, Policy.VINE) == pytest.approx(means[0].mean / means[1].mean)


def test_what_was_not_run_has_no_figure() -> None:
    found = results.Results(small_results().parameters, [small(VINE)])
    assert found.run_speedup(4, Policy.VINE) is None and found.task_speedup(4, Policy.TASKVINE) is None
    assert found.gain(VINE) is None and found.figures() == []


def test_figures_are_named_after_the_size() -> None:
    names = [figure.name for figure in small_results().figures()]
    assert names == ["run_speedup_4", "task_speedup_4"] * 2
    assert {figure.params["policy"] for figure in small_results().figures()} == {"taskvine", "vine"}


def test_the_summary_is_for_programs() -> None:
    summary = json.loads(json.dumps(small_results().summary()))
    assert [run["distribution"] for run in summary] == ["shared-fs", "vine", "vine", "vine-hot", "vine-hot"]
    assert all(sum(run["mean"].values()) == pytest.approx(run["task_s"]["mean"]) for run in summary)


def test_the_paper_has_columns_for_two_distributions() -> None:
    assert results.papers_of(FS, 64) is paper.SHARED_FS[64]
    assert results.papers_of(VINE, 64) is paper.VINE[64]
    assert results.papers_of(Distribution.VINE_HOT, 64) is None and results.papers_of(VINE, 5) is None
    assert results.error(110.0, 100.0) == pytest.approx(0.1)


def test_the_papers_speedups_are_those_of_its_own_table() -> None:
    """Its text rounds down: 888.6 / 503.6 is 1.764, 961.3 / 538.5 is 1.785."""
    for size in paper.SIZES:
        ratio = paper.SHARED_FS[size].mean / paper.VINE[size].mean
        assert ratio == pytest.approx(paper.TASK_SPEEDUPS[size], abs=0.006)


def test_several_draws_stand_for_one_run() -> None:
    first = small(VINE)
    second = replace(first, seed=1, run_s=first.run_s + 10.0, at_once=3, digest="other")
    found = results.Results(small_results().parameters, [second, first])
    run = found.run(4, VINE)
    assert run is not None and found.draws == 2 and found.tasks == 64
    assert run.run_s == pytest.approx(first.run_s + 5.0) and run.at_once == 8
    assert run.times == first.times * 2 and run.digest == f"{first.digest} other"


def test_what_is_saved_is_counted_draw_for_draw() -> None:
    ours, theirs = small(VINE), small(VINE, Policy.TASKVINE)
    draws = [theirs, ours, replace(theirs, seed=1, run_s=theirs.run_s + 50.0), replace(ours, seed=1)]
    found = results.Results(small_results().parameters, draws).saved(4, VINE)
    saved_s = theirs.run_s - ours.run_s
    assert found["run_s"].mean_s == pytest.approx(saved_s + 25.0)
    assert found["run_s"].error_s == pytest.approx(25.0)
    parts = sum(found[part].mean_s for part in results.PARTS)
    assert found["task_s"].mean_s == pytest.approx(parts) and found["task_s"].error_s == pytest.approx(0.0)


def test_what_has_no_pair_saves_nothing_that_is_known_and_one_pair_has_no_error() -> None:
    assert results.Results(small_results().parameters, [small(VINE)]).saved(4, VINE) == {}
    assert small_results().saved(4, VINE)["run_s"].error_s is None


def test_no_way_to_bring_the_data_is_faster_than_data_that_cost_nothing() -> None:
    found = small_results()
    bound = found.bound(4)
    assert bound is not None
    for way in (VINE, Distribution.VINE_HOT):
        ours = found.moments(4, way)
        shared = found.moments(4, FS)
        assert ours is not None and shared is not None
        assert shared.mean / ours.mean < bound[1]
        assert found.run_speedup(4, Policy.VINE, way) < bound[0]  # type: ignore[operator]  # it has runs
    assert results.Results(found.parameters, [small(VINE)]).bound(4) is None
