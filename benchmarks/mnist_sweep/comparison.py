"""How do runs of the same sweep with different distributions compare?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.mnist_sweep.report import Run, moments

_BASELINE = "shared-fs"


def comparison(runs: Sequence[Run]) -> str:
    """The paper's Table 1, run times with what was moved, and the speed-ups over the shared filesystem."""
    return "\n".join((task_times(runs), costs(runs), speedups(runs)))


def task_times(runs: Sequence[Run]) -> str:
    """The paper's Table 1."""
    columns = [f"{run.distribution}: mean | median | std" for run in runs]
    cells = [cell(value) for run in runs for value in moments([row.task_s for row in run.succeeded]).values()]
    return (
        "Task time in seconds: from the assignment to a worker until the result, stage-in and extraction included.\n\n"
        f"| workers | {' | '.join(columns)} |\n| ---: |{' ---: |' * len(cells)}\n"
        f"| {runs[0].workers} | {' | '.join(cells)} |\n"
    )


def costs(runs: Sequence[Run]) -> str:
    lines = [
        "Run time, and what came over the network.\n",
        "| distribution | tasks | run s | of it packing s | MB from manager | MB from peers | MB from shared-fs |",
        "| --- |" + " ---: |" * 6,
    ]
    for run in runs:
        names = ("run_s", "pack_s", "mb_from_manager", "mb_from_peers", "mb_from_shared_fs")
        tasks = f"{len(run.succeeded)} of {len(run.rows)}"
        lines.append(f"| {run.distribution} | {tasks} | {' | '.join(cell(run.figures[name]) for name in names)} |")
    return "\n".join(lines) + "\n"


def speedups(runs: Sequence[Run]) -> str:
    """How many times as long it takes on the shared filesystem."""
    found = speedup_figures(runs)
    if not found:
        return ""
    lines = [f"Speed-up over {_BASELINE}.\n", "| distribution | run time | mean task time |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {cell(run)} | {cell(task)} |" for name, (run, task) in found.items()]
    return "\n".join(lines) + "\n"


def speedup_figures(runs: Sequence[Run]) -> dict[str, tuple[float | None, float | None]]:
    """Of each other distribution: the shared filesystem's run time and mean task time over its own."""
    baseline = next((run for run in runs if run.distribution == _BASELINE), None)
    if baseline is None:
        return {}
    return {
        run.distribution: (
            _ratio(baseline.figures["run_s"], run.figures["run_s"]),
            _ratio(_mean_task_s(baseline), _mean_task_s(run)),
        )
        for run in runs
        if run is not baseline
    }


def _mean_task_s(run: Run) -> float | None:
    return statistics.mean(row.task_s for row in run.succeeded) if run.succeeded else None


def _ratio(slow: float | None, fast: float | None) -> float | None:
    return slow / fast if slow is not None and fast else None


def cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
