"""Other readings of the shared-fs column stand beside the model, each with what its fit has found."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mnist_sweep.simulate import fit, paging, paper, parameters, readings
from benchmarks.mnist_sweep.simulate.readings import FITTED, MODEL, READINGS
from vine.errors import UsageError

BASE, _ = parameters.read()


def test_the_cluster_is_the_models_reading() -> None:
    assert readings.read()[MODEL].on(BASE, READINGS[MODEL]) == BASE


@pytest.mark.parametrize("name", READINGS)
def test_what_is_shipped_has_the_misfit_that_it_says(name: str) -> None:
    """On the draws of the fit; four digits of each value move a median of nearly equal times a little."""
    found = readings.read()[name]
    cluster = found.on(BASE, READINGS[name])
    runs = {size: [paging.run(cluster, size, paper.TASKS, seed) for seed in (0, 1)] for size in paper.SIZES}
    moments = {size: paging.moments([time for run in both for time in run.task_s]) for size, both in runs.items()}
    length = {size: sum(run.run_s for run in both) for size, both in runs.items()}
    misfit = sum(error**2 for error in fit.errors(moments, length[128] / length[256]))
    assert misfit == pytest.approx(found.misfit, abs=1.5)


def test_each_reading_has_fewer_coordinates_than_there_are_numbers() -> None:
    assert all(len(reading.coordinates) < 13 for reading in READINGS.values())
    assert len(READINGS["both"].coordinates) == 12


def test_what_was_found_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "readings.toml"
    path.write_text(readings.text_of(readings.read()))
    assert readings.read(path) == readings.read()
    assert path.read_text() == FITTED.read_text()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[factory]", "[plant]", "does not have reading factory"),
        ("misfit", "fit", "does not have reading arrivals"),
        ("compute_spread = ", "compute_spread = -", "nothing here is less than 0"),
        ("[factory]", "[factory", "cannot be read as fitted readings"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    path = tmp_path / "readings.toml"
    body = FITTED.read_text().partition("\n[")
    path.write_text(body[0] + body[1] + body[2].replace(old, new, 1))
    with pytest.raises(UsageError, match=why):
        readings.read(path)
