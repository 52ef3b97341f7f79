"""A run of the benchmark is a run: every task ends once, the scheduler's tables agree, and nothing stays behind."""

from __future__ import annotations

import pytest

from benchmarks.scale.run import Run, Setup
from benchmarks.scale.workloads import KINDS
from vine.scheduler.check import check

MEANS_S = {kind.label: kind.mean_s for kind in KINDS} | {"graph.step": 1.0, "graph.map": 1.0, "graph.reduce": 1.0}


def assert_nothing_is_left(run: Run) -> None:
    state = run.scheduler.core.state
    check(state)
    assert run.failed == state.strange == 0
    assert not any(worker.attempts for worker in state.workers.values()) and not state.transfers.wanting


def test_every_task_of_a_mixture_ends_though_workers_leave() -> None:
    run, submitted = Run(Setup(workers=20, left=0.2, joining_s=5.0), MEANS_S), []
    run.go(lambda workload: workload.mixture(600), 600, lambda: submitted.append(run.ended))
    assert_nothing_is_left(run)
    assert run.fleet.joined > 20, "none was replaced"
    assert len(submitted) == 1 and submitted[0] < 600
    assert run.scheduler.steps["AttemptsEnded"] >= 600
    assert run.fleet.busy_core_s > 0.5 * 600 * sum(kind.share * kind.mean_s for kind in KINDS)


@pytest.mark.parametrize("kind", ["stages", "reduction"])
def test_every_task_of_a_graph_ends_and_workers_come_when_all_is_submitted(kind: str) -> None:
    run, workers = Run(Setup(workers=10, left=0.0, join_first=False), MEANS_S), []
    if kind == "stages":
        run.go(lambda workload: workload.stages(400, 50), 400, lambda: workers.append(run.fleet.joined))
    else:
        run.go(lambda workload: workload.reduction(400, 20), 421, lambda: workers.append(run.fleet.joined))
    assert workers == [0]
    assert_nothing_is_left(run)
    assert len(run.scheduler.core.state.tasks.by_id) <= 1000


def test_equal_setups_go_alike() -> None:
    steps = []
    for _ in range(2):
        run = Run(Setup(workers=5, joining_s=1.0), MEANS_S)
        run.go(lambda workload: workload.mixture(200), 200, lambda: None)
        steps.append((run.scheduler.steps, run.clock.now()))
    assert steps[0] == steps[1]
