"""The paper's numbers, as its text and its table have them."""

from __future__ import annotations

from benchmarks.mnist_sweep.simulate import paper


def test_every_size_of_the_paper_has_both_columns_and_both_speedups() -> None:
    for column in (paper.SHARED_FS, paper.VINE, paper.RUN_SPEEDUPS, paper.TASK_SPEEDUPS):
        assert tuple(column) == paper.SIZES
    assert paper.SHARED_FS[32].mean == 816.7 and paper.VINE[256].std == 265.0
    assert (paper.RUN_SPEEDUPS[256], paper.TASK_SPEEDUPS[256]) == (1.48, 1.79)
