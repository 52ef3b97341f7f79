"""Figures 2 and 3 are drawn of whatever was run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.mnist_sweep.simulate import pictures
from benchmarks.mnist_sweep.simulate.results import Results
from benchmarks.mnist_sweep.simulate.run import Distribution
from tests.benchmarks.mnist_sweep.simulate.made import small, small_results

_PNG = b"\x89PNG\r\n"


def test_figures_are_pictures_of_all_runs_or_of_some(tmp_path: Path) -> None:
    everything = small_results()
    for number, found in enumerate((everything, Results(everything.parameters, [small(Distribution.SHARED_FS)]))):
        for draw in (pictures.draw_run_times, pictures.draw_histograms):
            path = tmp_path / f"{number}-{draw.__name__}.png"
            draw(found, path)
            assert path.read_bytes().startswith(_PNG)
