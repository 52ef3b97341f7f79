"""Fitted parameters come from a search that anybody can repeat, on the shared-fs column alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mnist_sweep.simulate import fit, paging, paper, parameters, readings
from benchmarks.mnist_sweep.simulate.parameters import CLUSTER, Parameters
from benchmarks.mnist_sweep.simulate.readings import MODEL, READINGS
from vine.errors import ExitCode

BASE, ENTRIES = parameters.read()
BOTH = READINGS["both"]


class Analytic(fit.Search):
    """A search on formulas instead of runs: quick, and as smooth as can be."""

    def _run(self, cluster: Parameters, size: int) -> tuple[paper.Moments, float]:
        alone_s = cluster.metadata_operations / cluster.metadata_operations_per_s
        wait_s = alone_s * (8 * size + cluster.at("others_streams", size))
        share, spread = cluster.at("slow_share", size), cluster.compute_s * cluster.compute_spread
        slow_s = (cluster.slow_factor - 1) * cluster.compute_s
        mean = wait_s + cluster.compute_s + share * slow_s
        std = math.hypot(spread, math.sqrt(share * (1 - share)) * slow_s)
        late_s = size / cluster.arrival_workers_per_s
        return paper.Moments(mean, mean - share * slow_s / 3, std), late_s + 2048 / (8 * size) * mean


def test_every_parameter_that_is_fitted_is_one_of_the_models_and_no_other() -> None:
    fitted = {name for name, entry in ENTRIES.items() if entry.origin == "fitted"}
    assert fitted == {*READINGS[MODEL].free, *READINGS[MODEL].each_run} == readings.read()[MODEL].values.keys()


def test_the_model_has_fewer_coordinates_than_it_was_fitted_on_numbers() -> None:
    assert len(READINGS[MODEL].coordinates) == 7
    assert len(fit.errors(paper.SHARED_FS, 1.0)) == 13


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
    search = Analytic(BASE, BOTH, fit.starts(BOTH)[0])
    before = search.evaluated(search.point).misfit
    best = search.best()
    assert best.misfit < before / 3
    for name, value in search.point.items():
        for step in (0.1, -0.1):
            assert search.evaluated({**search.point, name: value + step}).misfit > best.misfit * 0.98, name


def test_the_same_search_finds_the_same() -> None:
    first, second = (Analytic(BASE, BOTH, fit.starts(BOTH)[0]) for _ in range(2))
    assert first.best().misfit == second.best().misfit
    assert first.point == second.point


def test_no_error_costs_nothing() -> None:
    assert fit.errors(paper.SHARED_FS, paper.SHARED_FS_GAIN) == [0.0] * 13


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_moves_its_coordinates_and_nothing_else(name: str) -> None:
    reading = READINGS[name]
    start = fit.starts(reading)[0]
    assert list(start) == reading.coordinates
    found = fit.parameters_of({key: value + 0.5 for key, value in start.items()}, BASE, reading)
    given: dict[str, Any] = dict(reading.given)
    held = replace(BASE, **given)
    for field in parameters.NAMES:
        if field not in (*reading.free, *reading.each_run):
            assert getattr(found, field) == getattr(held, field), field
    for field in parameters.EACH_RUN:
        if field in reading.free:
            assert len(set(getattr(found, field).values())) == 1


def test_a_coordinate_of_a_run_is_of_that_run_alone() -> None:
    start = fit.starts(BOTH)[0]
    before = fit.parameters_of(start, BASE, BOTH)
    after = fit.parameters_of({**start, "slow_share 64": start["slow_share 64"] + 1}, BASE, BOTH)
    assert {size for size in paper.SIZES if before.slow_share[size] != after.slow_share[size]} == {64}


@pytest.mark.parametrize("name", ["slow_share", "slow_factor", "compute_spread"])
def test_no_coordinate_stands_for_nonsense(name: str) -> None:
    low, high = {"slow_share": (0.0, 1.0), "slow_factor": (1.0, math.inf)}.get(name, (0.0, math.inf))
    for value in (-1e3, -1.0, 0.0, 1.0, 1e3):
        assert low < fit.from_point(name, value) < high
    assert fit.from_point(name, fit.to_point(name, 0.3 if name != "slow_factor" else 2.5)) == pytest.approx(
        0.3 if name != "slow_factor" else 2.5
    )


def test_searches_begin_with_few_and_with_many_slow_nodes() -> None:
    assert {round(fit.from_point("slow_share", start["slow_share 32"]), 3) for start in fit.starts(BOTH)} == {0.05, 0.7}
    assert len(fit.starts(READINGS[MODEL])) == 2


def test_the_command_says_what_it_found_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fit, "Search", Analytic)
    cluster, found = tmp_path / "cluster.toml", tmp_path / "readings.toml"
    cluster.write_text(CLUSTER.read_text())
    files = ["--cluster", str(cluster), "--readings", str(found)]
    assert fit.main(["--reading", "stragglers", *files]) == ExitCode.OK
    assert not found.exists() and cluster.read_text() == CLUSTER.read_text()  # Nothing is written unasked.
    assert fit.main(["--write", *files]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "misfit" in out and "32 workers: mean" in out
    assert readings.read(found).keys() == READINGS.keys()
    after, entries = parameters.read(cluster)
    assert after.others_streams == readings.read(found)[MODEL].values["others_streams"] != BASE.others_streams
    assert after.slow_share == BASE.slow_share and entries["slow_share"].origin == "left out"


def test_one_reading_is_fitted_anew_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "Search", Analytic)
    found = tmp_path / "readings.toml"
    found.write_text(readings.FITTED.read_text())
    assert fit.main(["--write", "--reading", "nodes", "--readings", str(found)]) == ExitCode.OK
    before, after = readings.read(), readings.read(found)
    assert {name for name in READINGS if before[name] != after[name]} == {"nodes"}


def test_mistakes_on_the_command_line_are_the_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(["--cluster", str(tmp_path / "none")]) == ExitCode.USAGE
    assert "fit: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fit.main(["--reading", "tea-leaves"])
    assert "'tea-leaves' is none of arrivals" in capsys.readouterr().err
