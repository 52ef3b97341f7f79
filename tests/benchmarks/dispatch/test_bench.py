"""The bench is a real run with one worker that has the slots that the figures speak of."""

from __future__ import annotations

import pytest

from benchmarks.dispatch.bench import RESULT_S, SLOTS, bench, inc


@pytest.mark.live
def test_the_bench_has_one_worker_with_all_slots_and_runs_calls() -> None:
    with bench() as at:
        assert at.executor.submit(inc, 1).result(RESULT_S) == 2
        assert (at.manager.stats.workers, at.manager.stats.cores) == (1, SLOTS)
