"""Fitted parameters come from a search that anybody can repeat, on the shared-fs column alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.mnist_sweep.simulate import fit, paging, paper, parameters
from benchmarks.mnist_sweep.simulate.parameters import Parameters
from vine.errors import ExitCode

BASE, ENTRIES = parameters.read()


class Analytic(fit.Search):
    """A search on formulas instead of runs: quick, and as smooth as can be."""

    def _run(self, cluster: Parameters, size: int) -> tuple[paper.Moments, float]:
        alone_s = cluster.metadata_operations / cluster.metadata_operations_per_s
        wait_s = alone_s * (8 * size + cluster.at("others_streams", size))
        share, spread = cluster.at("slow_share", size), cluster.compute_s * cluster.compute_spread
        slow_s = (cluster.slow_factor - 1) * cluster.compute_s
        mean = wait_s + cluster.compute_s + share * slow_s
        std = math.hypot(spread, math.sqrt(share * (1 - share)) * slow_s)
        return paper.Moments(mean, mean - share * slow_s / 3, std), 2048 / (8 * size) * mean


def test_every_parameter_that_is_fitted_is_one_of_the_search_and_no_other() -> None:
    fitted = {name for name, entry in ENTRIES.items() if entry.origin == "fitted"}
    assert fitted == {*fit.GLOBAL, *fit.EACH_RUN} == fit.values_of(BASE).keys()


def test_what_is_shipped_explains_the_shared_fs_column() -> None:
    """Which says that nobody has changed the file without the search, or the model without fitting it again."""
    runs = {size: paging.run(BASE, size, paper.TASKS) for size in paper.SIZES}
    for size, wanted in paper.SHARED_FS.items():
        found = paging.moments(runs[size].task_s)
        assert found.mean == pytest.approx(wanted.mean, rel=0.08)
        assert found.median == pytest.approx(wanted.median, rel=0.08)
        assert found.std == pytest.approx(wanted.std, rel=0.15)
    assert runs[128].run_s / runs[256].run_s == pytest.approx(paper.SHARED_FS_GAIN, abs=0.08)


def test_a_search_ends_where_no_coordinate_helps() -> None:
    search = Analytic(BASE, fit.start_of("both"))
    before = search.evaluated(search.point).misfit
    best = search.best()
    assert best.misfit < before / 3
    for name, value in search.point.items():
        for step in (0.1, -0.1):
            assert search.evaluated({**search.point, name: value + step}).misfit > best.misfit * 0.98, name


def test_the_same_search_finds_the_same() -> None:
    first, second = (Analytic(BASE, fit.start_of("both")).best() for _ in range(2))
    assert first == second


def test_what_is_not_as_usual_has_its_price() -> None:
    usual = fit.start_of("both")
    assert sum(map(abs, fit.prices(usual))) == pytest.approx(0.0)
    assert sum(cost**2 for cost in fit.prices({**usual, "slow_share 32": 2.0})) == pytest.approx(4.0)
    twice = {**usual, "others_streams 64": math.log(2)}
    assert sum(cost**2 for cost in fit.prices(twice)) == pytest.approx(1.0)


def test_no_error_costs_nothing() -> None:
    assert fit.errors(paper.SHARED_FS, paper.SHARED_FS_GAIN) == [0.0] * 13


def test_a_reading_holds_what_it_does_not_let_differ() -> None:
    for reading, held in (("load", "slow_share"), ("nodes", "others_streams")):
        start = fit.start_of(reading)
        moved = {name: value + 0.5 for name, value in start.items()}
        assert len(set(getattr(fit.parameters_of(moved, BASE), held).values())) == 1
        assert not any(name.startswith(f"{held} ") for name in start)


def test_starts_differ_in_the_nodes_of_the_small_runs() -> None:
    assert len({tuple(start.items()) for start in fit.starts("both")}) == 4
    assert fit.starts("load") == [fit.start_of("load")]


def test_the_command_says_what_it_found_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fit, "Search", Analytic)
    written = tmp_path / "cluster.toml"
    assert fit.main(["--reading", "load", "--write", str(written)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "misfit" in out and "32 workers: mean" in out
    found, entries = parameters.read(written)
    assert len(set(found.slow_share.values())) == 1
    assert found.compute_s == BASE.compute_s and entries["slow_share"].origin == "fitted"


def test_a_file_that_is_no_cluster_is_a_users_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(["--cluster", str(tmp_path / "none")]) == ExitCode.USAGE
    assert "fit: " in capsys.readouterr().err
